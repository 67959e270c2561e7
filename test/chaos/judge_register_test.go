package chaos

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// porcupineWithin bounds the search in one history; what is not decided then is
// counted and not called good.
const porcupineWithin = 10 * time.Second

// registerState is a small stream as a sequential machine: comparable, so that
// Porcupine sees when it has been somewhere before.
type registerState struct {
	length int
	sum    uint64 // of the content
	closed bool
	next   [registerMakers + 1]int
}

func emptySum() uint64 { return fnv.New64a().Sum64() }

// sumOn goes on with a sum (FNV-1a, as hash does over the whole).
func sumOn(sum uint64, s string) uint64 {
	const prime = 1099511628211
	for i := range len(s) {
		sum ^= uint64(s[i])
		sum *= prime
	}
	return sum
}

func (s registerState) with(body string) registerState {
	s.length += len(body)
	s.sum = sumOn(s.sum, body)
	return s
}

// registerModel says which answers are right. An operation whose outcome is
// unknown may always be put last, where it has no effect on any answer; so it
// needs no branch of its own for "was not carried out".
var registerModel = porcupine.Model{
	Init: func() any { return registerState{sum: emptySum()} },
	Step: func(state, input, _ any) (bool, any) { return input.(op).step(state.(registerState)) },
	DescribeOperation: func(input, _ any) string {
		o := input.(op)
		return o.Kind + " " + o.Client + " " + o.Result + " " + o.Next
	},
}

func (o op) step(s registerState) (bool, registerState) {
	_, at, err := position(o.Next)
	told := err == nil && at == s.length
	switch o.Kind {
	case opRead, opFinal:
		return told && o.Bytes == s.length && o.Hash == s.sum && o.Closed == s.closed, s
	case opHead:
		return told && o.Closed == s.closed, s
	case opClose:
		if o.Result == resultUnknown {
			s.closed = true
			return true, s
		}
		closed := s
		closed.closed = true
		return told, closed
	case opAppend, opProduce:
		return o.stepWrite(s)
	}
	return false, s
}

func (o op) stepWrite(s registerState) (bool, registerState) {
	due := o.Kind == opAppend || o.Seq == s.next[o.Producer]
	after := s.with(o.Body)
	if o.Kind == opProduce {
		after.next[o.Producer]++
	}
	_, at, err := position(o.Next)
	switch {
	case o.Result == resultUnknown && (s.closed || !due):
		return true, s
	case o.Result == resultUnknown:
		return true, after
	case o.Status == 409: // it is closed
		return s.closed && err == nil && at == s.length, s
	case o.Again: // a repeat
		return o.Seq < s.next[o.Producer] && err == nil && at == s.length, s
	}
	return !s.closed && due && err == nil && at == after.length, after
}

// register gives the history of one register to Porcupine.
func (v *verdict) register(name string, ops []op) {
	var history []porcupine.Operation
	clients := map[string]int{}
	for _, o := range ops {
		reading := o.Kind == opRead || o.Kind == opHead || o.Kind == opFinal
		switch {
		case o.Kind == opCreate, o.Result == resultRefused:
			continue // carried out before all else, or not at all
		case reading && (o.Result != resultOK || !o.UpToDate):
			continue // no claim
		}
		id := o.Client + o.Kind + o.Node // a client goes on after an outcome it does not know
		if o.Result == resultUnknown || o.Kind == opFinal {
			id += o.Client + o.Body
		}
		if _, ok := clients[id]; !ok {
			clients[id] = len(clients)
		}
		end := o.Return
		if o.Result == resultUnknown {
			end = math.MaxInt64
			if reading {
				continue
			}
		}
		history = append(history, porcupine.Operation{ClientId: clients[id], Input: o, Call: o.Call, Return: end})
	}
	v.registers++
	switch porcupine.CheckOperationsTimeout(registerModel, history, porcupineWithin) {
	case porcupine.Illegal:
		v.fail(faultLinear, "%s: no order of its %d operations explains the answers", name, len(history))
	case porcupine.Unknown:
		v.undecided++
	}
}
