package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcd keeps each message under a key of its own.
type etcd struct{ clients []*clientv3.Client }

const prefix = "bench/"

func openEtcd(ctx context.Context, o options) (store, error) {
	e := &etcd{}
	for w := range o.writers {
		c, err := clientv3.New(clientv3.Config{Endpoints: o.servers[w%len(o.servers) : w%len(o.servers)+1], DialTimeout: 20 * time.Second})
		if err != nil {
			return nil, err
		}
		e.clients = append(e.clients, c)
	}
	for _, c := range e.clients { // until all connections are up and there is a leader
		for {
			_, err := c.Get(ctx, "any")
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return nil, err
			}
		}
	}
	_, err := e.clients[0].Delete(ctx, prefix, clientv3.WithPrefix())
	return e, err
}

func (e *etcd) append(ctx context.Context, writer int, number uint64, message []byte) error {
	_, err := e.clients[writer].Put(ctx, fmt.Sprintf("%s%d/%012d", prefix, writer, number), string(message))
	return err
}

func (e *etcd) count(ctx context.Context) (uint64, error) {
	r, err := e.clients[0].Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return uint64(r.Count), nil
}
