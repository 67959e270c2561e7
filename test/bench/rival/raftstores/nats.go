package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsStreams is a JetStream stream of three replicas for each writer.
type natsStreams struct {
	js   []jetstream.JetStream
	name func(writer int) string
}

func openNATS(ctx context.Context, o options) (store, error) {
	s := &natsStreams{name: func(w int) string { return fmt.Sprintf("w%d", w) }}
	for w := range o.writers {
		c, err := nats.Connect("nats://"+o.servers[w%len(o.servers)], nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			return nil, err
		}
		js, err := jetstream.New(c)
		if err != nil {
			return nil, err
		}
		s.js = append(s.js, js)
	}
	for w, js := range s.js {
		cfg := jetstream.StreamConfig{Name: s.name(w), Subjects: []string{"bench." + s.name(w)}, Replicas: 3, Storage: jetstream.FileStorage}
		for {
			err := create(ctx, js, cfg)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return nil, err
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	return s, nil
}

// create tries once. What is asked while there is no leader is never answered.
func create(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) error {
	const within = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_ = js.DeleteStream(ctx, cfg.Name) // of a run before
	_, err := js.CreateStream(ctx, cfg)
	return err
}

func (s *natsStreams) append(ctx context.Context, writer int, _ uint64, message []byte) error {
	_, err := s.js[writer].Publish(ctx, "bench."+s.name(writer), message)
	return err
}

func (s *natsStreams) count(ctx context.Context) (uint64, error) {
	total := uint64(0)
	for w, js := range s.js {
		stream, err := js.Stream(ctx, s.name(w))
		if err != nil {
			return 0, err
		}
		total += stream.CachedInfo().State.Msgs
	}
	return total, nil
}
