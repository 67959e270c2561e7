package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Methods of the peer protocol. Append only, never reorder.
const (
	methodBatch      byte = 1 + iota // envelope → results
	methodFence                      // id of the asking node → u64 index
	methodStatus                     // → report
	methodJoin                       // joinRequest → joinReply
	methodGrant                      // grantRequest →
	methodRelease                    // grantRequest →
	methodRemove                     // adminRequest →
	methodTransfer                   // adminRequest →
	methodDismiss                    // dismissal →
	methodKeys                       // keyOffer → keyOffer
	methodChangeKeys                 // adminRequest →
	methodTraced                     // W3C headers, envelope → results
)

// Statuses of an answer.
const (
	statusOK          byte = iota
	statusNotProposed      // refused before anything was proposed; body is a sentence
	statusUnknown          // may have been proposed
	statusRefused          // no, and asking again will not help; body is a sentence
	statusGoAway           // the last frame: requests above this id were not looked at
	statusNoSpace          // certainly not proposed; body names the members that are full
)

// servedMax bounds the requests of one connection that are served at a time.
const servedMax = 64

// lingerTime is how long a drained connection waits for the caller to hang up.
const lingerTime = 500 * time.Millisecond

// admissionMethods are those that a node which is no member may call.
var admissionMethods = map[byte]bool{methodJoin: true, methodGrant: true, methodRelease: true}

// handler answers one request.
type handler func(ctx context.Context, method byte, body []byte) (answer []byte, err error)

// served is the answering side of one RPC connection.
type served struct {
	conn    net.Conn
	kind    connKind
	handle  handler
	writing turn   // one frame at a time
	last    uint64 // id of the last request that was read
}

// serve answers requests until the connection ends or is told to drain, and
// returns when the last answer is written.
func (s *served) serve(ctx context.Context, draining <-chan struct{}) {
	var serving sync.WaitGroup
	defer s.conn.Close()
	defer s.goAway(draining)
	defer serving.Wait()
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-draining:
			s.conn.SetReadDeadline(time.Unix(1, 0))
		case <-stop:
		}
	})
	defer watching.Wait()
	defer close(stop)

	slots := make(chan struct{}, servedMax)
	for {
		req, err := readFrame(s.conn)
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		s.last = req.id
		serving.Go(func() {
			s.answer(ctx, req)
			<-slots
		})
	}
}

func (s *served) answer(ctx context.Context, req frame) {
	body, err := []byte(nil), error(nil)
	if s.kind == connAdmission && !admissionMethods[req.code] {
		err = &refusal{"this method is for members of the cluster"}
	} else {
		body, err = s.handle(ctx, req.code, req.body)
	}
	answer := frame{id: req.id}
	answer.code, answer.body = statusOf(err, body)
	if s.write(answer) != nil {
		s.conn.Close() // the reader ends with it
	}
}

func (s *served) write(f frame) error {
	s.writing.take()
	defer s.writing.give()
	s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return writeFrame(s.conn, f)
}

// goAway tells the caller, after all answers, which requests were looked at, and
// waits a moment for it to hang up: a close with unread bytes would be a reset.
func (s *served) goAway(draining <-chan struct{}) {
	select {
	case <-draining:
	default:
		return // the connection broke
	}
	if s.write(frame{id: s.last, code: statusGoAway}) != nil {
		return
	}
	s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, s.conn)
}

// refusal is a handler's final no, in a sentence for the caller's log.
type refusal struct{ sentence string }

func (r *refusal) Error() string { return r.sentence }

func statusOf(err error, body []byte) (byte, []byte) {
	var no *refusal
	var full *NoSpaceError
	switch {
	case err == nil:
		return statusOK, body
	case errors.As(err, &full):
		return statusNoSpace, encodeNoSpace(full)
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
	case statusNoSpace:
		return nil, decodeNoSpace(f.body)
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
