package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Methods of the peer protocol. Append only, never reorder.
const (
	methodBatch   byte = 1 + iota // envelope → results
	methodFence                   // → u64 index
	methodStatus                  // → report
	methodJoin                    // joinRequest → joinReply
	methodGrant                   // grantRequest →
	methodRelease                 // grantRequest →
)

// Statuses of an answer.
const (
	statusOK          byte = iota
	statusNotProposed      // refused before anything was proposed; body is a sentence
	statusUnknown          // may have been proposed
	statusRefused          // no, and asking again will not help; body is a sentence
)

// servedMax bounds the requests of one connection that are served at a time.
const servedMax = 64

// admissionMethods are those that a node which is no member may call.
var admissionMethods = map[byte]bool{methodJoin: true, methodGrant: true, methodRelease: true}

// handler answers one request.
type handler func(ctx context.Context, method byte, body []byte) (answer []byte, err error)

// serveFrames answers the requests of one connection until it ends, and returns
// when the last answer is written.
func serveFrames(ctx context.Context, c net.Conn, kind connKind, handle handler) {
	var writing sync.Mutex
	var serving sync.WaitGroup
	defer serving.Wait()
	defer c.Close()
	slots := make(chan struct{}, servedMax)
	for {
		req, err := readFrame(c)
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		serving.Go(func() {
			defer func() { <-slots }()
			answer := frame{id: req.id}
			body, err := []byte(nil), error(nil)
			if kind == connAdmission && !admissionMethods[req.code] {
				err = &refusal{"this method is for members of the cluster"}
			} else {
				body, err = handle(ctx, req.code, req.body)
			}
			answer.code, answer.body = statusOf(err, body)
			writing.Lock()
			defer writing.Unlock()
			c.SetWriteDeadline(time.Now().Add(writeTimeout))
			if writeFrame(c, answer) != nil {
				c.Close() // the reader above ends with it
			}
		})
	}
}

// refusal is a handler's final no, in a sentence for the caller's log.
type refusal struct{ sentence string }

func (r *refusal) Error() string { return r.sentence }

func statusOf(err error, body []byte) (byte, []byte) {
	var no *refusal
	switch {
	case err == nil:
		return statusOK, body
	case errors.As(err, &no):
		return statusRefused, []byte(no.sentence)
	case isNotProposed(err):
		return statusNotProposed, []byte(err.Error())
	}
	return statusUnknown, nil
}

// unpack turns an answer back into what the handler returned.
func unpack(f frame) ([]byte, error) {
	switch f.code {
	case statusOK:
		return f.body, nil
	case statusNotProposed:
		return nil, notProposed(errors.New(string(f.body)))
	case statusRefused:
		return nil, &refusal{string(f.body)}
	}
	return nil, ErrOutcomeUnknown
}

// callJSON is a call whose request and answer are JSON.
func callJSON[T any](req any, do func(body []byte) (frame, error)) (T, error) {
	var answer T
	body, err := json.Marshal(req)
	if err != nil {
		return answer, fmt.Errorf("encode request: %w", err)
	}
	f, err := do(body)
	if err != nil {
		return answer, err
	}
	b, err := unpack(f)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return answer, fmt.Errorf("decode answer: %w", err)
	}
	return answer, nil
}

// handleJSON is a handler whose request and answer are JSON.
func handleJSON[Q, A any](body []byte, do func(Q) (A, error)) ([]byte, error) {
	var q Q
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, &refusal{"the request is not well-formed: " + err.Error()}
	}
	a, err := do(q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a)
}
