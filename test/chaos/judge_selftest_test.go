package chaos

import (
	"fmt"
	"os"
	"testing"
)

// TestKeptHistory judges the history of an earlier run again.
func TestKeptHistory(t *testing.T) {
	path := os.Getenv(envCheck)
	if path == "" {
		t.Skipf("%s names no history", envCheck)
	}
	ops, err := loadHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	v := judge(ops)
	t.Log(v)
	if err := v.err(); err != nil {
		t.Fatal(err)
	}
}

// book writes a small history by hand.
type book struct {
	ops     []op
	at      int64
	content map[string]string
	events  int
}

func (b *book) tick() int64 { b.at += 10; return b.at }

func offset(at int) string { return fmt.Sprintf("%016d_%016d", 7, at) }

func (b *book) write(o op, seq int) {
	o.Seq, o.Node, o.Result = seq, "n1", resultOK
	o.Body = fmt.Sprintf("%s:%d:0:\n", o.Client, seq)
	o.Call, o.Return = b.tick(), b.tick()
	b.content[o.Stream] += o.Body
	o.Next = offset(len(b.content[o.Stream]))
	b.ops = append(b.ops, o)
}

func (b *book) look(o op) {
	o.Node, o.Result, o.Call, o.Return = "n2", resultOK, b.tick(), b.tick()
	whole := b.content[o.Stream]
	_, from, _ := position(o.From) // written by hand, always good
	if o.Kind == opHead {
		from = len(whole)
	}
	o.setRead(whole[from:], offset(len(whole)), true, false)
	b.ops = append(b.ops, o)
}

func (b *book) finals(stream string, status int, content string, closed bool) {
	for _, node := range []string{"n1", "n2", "n3"} {
		o := op{Client: "judge", Kind: opFinal, Stream: stream, Node: node, Call: b.tick(), Return: b.tick(), Result: resultOK, Status: status, Body: content}
		if status == 200 {
			o.setRead(content, offset(len(content)), true, closed)
		}
		b.ops = append(b.ops, o)
	}
}

// goodHistory is small and has all kinds of operations.
func goodHistory() []op {
	b := &book{content: map[string]string{}}
	const data, reg, life = "text/a", "reg/a", "life/a"
	b.ops = append(b.ops, op{Kind: opCreate, Stream: data, Result: resultOK, Next: offset(0)}, op{Kind: opCreate, Stream: reg, Result: resultOK})
	for i := range 4 {
		b.write(op{Client: "p", Kind: opAppend, Stream: data}, i)
		b.look(op{Client: "t", Kind: opTail, Stream: data, From: tailAt(b, data)})
		b.write(op{Client: "m", Kind: opProduce, Stream: data}, i)
		b.look(op{Client: "r", Kind: opRead, Stream: data, From: "-1"})
		b.look(op{Client: "t", Kind: opTail, Stream: data, From: tailAt(b, data)})
		b.write(op{Client: "c", Kind: opAppend, Stream: reg}, i)
		b.write(op{Client: "k", Kind: opProduce, Stream: reg, Producer: 1}, i)
		b.look(op{Client: "d", Kind: opRead, Stream: reg, From: "-1"})
		b.look(op{Client: "d", Kind: opHead, Stream: reg})
	}
	b.finals(data, 200, b.content[data], false)
	b.finals(reg, 200, b.content[reg], false)

	b.ops = append(b.ops, op{Kind: opCreate, Stream: life, Result: resultOK})
	b.write(op{Client: "o", Kind: opProduce, Stream: life}, 0)
	at := len(b.content[life])
	b.write(op{Client: "o", Kind: opProduce, Stream: life}, 1)
	b.ops = append(b.ops, op{Kind: opFork, Stream: life + ".fork", Source: life, From: offset(at), Result: resultOK})
	b.content[life+".fork"] = b.content[life][:at]
	b.write(op{Client: "f", Kind: opProduce, Stream: life + ".fork"}, 0)
	b.ops = append(b.ops, op{Kind: opClose, Stream: life + ".fork", Result: resultOK}, op{Kind: opDelete, Stream: life, Result: resultOK})
	b.finals(life, 410, "", false)
	b.finals(life+".fork", 200, b.content[life+".fork"], true)
	return b.ops
}

// tailAt is the last offset that the live reader was given.
func tailAt(b *book, stream string) string {
	at := "-1"
	for _, o := range b.ops {
		if o.Kind == opTail && o.Stream == stream {
			at = o.Next
		}
	}
	return at
}

// find returns the n-th operation of a kind on a stream, from 0, or from the
// end when n is negative.
func find(ops []op, kind, stream string, n int) *op {
	var all []*op
	for i := range ops {
		if ops[i].Kind == kind && ops[i].Stream == stream {
			all = append(all, &ops[i])
		}
	}
	return all[(n+len(all))%len(all)]
}

// refinal changes what the nodes hold in the end.
func refinal(ops []op, stream string, change func(string) string) {
	content := change(find(ops, opFinal, stream, 0).Body)
	for i := range ops {
		if o := &ops[i]; o.Kind == opFinal && o.Stream == stream {
			o.Body = content
			o.setRead(content, offset(len(content)), true, o.Closed)
		}
	}
}

func TestAGoodHistoryIsFoundGood(t *testing.T) {
	v := judge(goodHistory())
	if err := v.err(); err != nil {
		t.Fatal(err)
	}
	if v.registers != 1 || v.acked == 0 || v.reads == 0 || v.tailed == 0 {
		t.Fatalf("looked at too little: %s", v)
	}
}

// TestEachFaultIsFound spoils a good history in every way that the checkers
// promise to see.
func TestEachFaultIsFound(t *testing.T) {
	const data, reg, life = "text/a", "reg/a", "life/a"
	cases := map[string]struct {
		want  string
		spoil func([]op)
	}{
		"an acknowledged append is not there": {faultLost, func(ops []op) {
			refinal(ops, data, func(s string) string { return s[:len(s)-len("m:3:0:\n")] })
		}},
		"an append is there twice": {faultDoubled, func(ops []op) {
			refinal(ops, data, func(s string) string { return s + "p:3:0:\n" })
		}},
		"a refused append is there": {faultGhost, func(ops []op) { find(ops, opAppend, data, 1).Result = resultRefused }},
		"something nobody sent":     {faultForeign, func(ops []op) { refinal(ops, data, func(s string) string { return s + "z:9:0:\n" }) }},
		"half a batch": {faultTorn, func(ops []op) {
			find(ops, opAppend, data, -1).Body += "p:3:1:\n"
		}},
		"later in time, earlier in the stream": {faultReordered, func(ops []op) {
			find(ops, opAppend, data, 0).Call = 1 << 40
		}},
		"a producer's numbers out of order": {faultReordered, func(ops []op) {
			a, b := find(ops, opProduce, data, 0), find(ops, opProduce, data, 1)
			a.Seq, b.Seq = b.Seq, a.Seq
			a.Body, b.Body = b.Body, a.Body
			refinal(ops, data, func(s string) string { return swap(s, "m:0:0:\n", "m:1:0:\n") })
		}},
		"an acknowledgement with another offset": {faultOffset, func(ops []op) { find(ops, opAppend, data, 1).Next = offset(1) }},
		"an offset of another life":              {faultOffset, func(ops []op) { find(ops, opAppend, data, 1).Next = "0000000000000009_0000000000000008" }},
		"a current read behind an acknowledgement": {faultStale, func(ops []op) {
			o, before := find(ops, opRead, data, 3), find(ops, opRead, data, 0)
			o.Next, o.Bytes, o.Hash = before.Next, before.Bytes, before.Hash
		}},
		"a read of other bytes":              {faultBytes, func(ops []op) { find(ops, opRead, data, 1).Hash++ }},
		"a live reader with a gap":           {faultGap, func(ops []op) { find(ops, opTail, data, 3).Client = "other" }},
		"a live reader with other bytes":     {faultGap, func(ops []op) { find(ops, opTail, data, 2).Hash++ }},
		"a live reader that ends early":      {faultGap, func(ops []op) { find(ops, opTail, data, -1).Kind = "none" }},
		"an open stream that says closed":    {faultState, func(ops []op) { find(ops, opRead, data, 1).Closed = true }},
		"nodes that differ":                  {faultReplicas, func(ops []op) { find(ops, opFinal, data, 2).Hash++ }},
		"a stream nobody read in the end":    {faultIncomplete, func(ops []op) { eachFinal(ops, data, func(o *op) { o.Kind = "none" }) }},
		"a deleted stream that is back":      {faultState, func(ops []op) { eachFinal(ops, life, func(o *op) { o.Status = 200 }) }},
		"a closed stream that is open":       {faultState, func(ops []op) { eachFinal(ops, life+".fork", func(o *op) { o.Closed = false }) }},
		"a fork with too much of its source": {faultBytes, func(ops []op) { refinal(ops, life+".fork", func(s string) string { return "o:1:0:\n" + s }) }},
		"a register that forgets":            {faultLinear, func(ops []op) { refinal(ops, reg, func(s string) string { return s[:7] }) }},
		"a register read that is behind": {faultLinear, func(ops []op) {
			o, before := find(ops, opRead, reg, 2), find(ops, opRead, reg, 1)
			o.Next, o.Bytes, o.Hash = before.Next, before.Bytes, before.Hash
		}},
		"a number of a producer taken twice": {faultLinear, func(ops []op) { find(ops, opProduce, reg, 2).Seq = 1 }},
		"an append that fails at a node that is well": {faultRefused, func(ops []op) {
			o := find(ops, opAppend, data, -1)
			o.Result = resultUnknown
			ops[0] = op{Kind: opFault, Node: "n2", Call: o.Call - 5, Return: o.Return + 5, Result: resultOK}
		}},
		"a register closed and written to": {faultLinear, func(ops []op) {
			o := find(ops, opHead, reg, 1)
			o.Kind, o.Status = opClose, 204
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ops := goodHistory()
			c.spoil(ops)
			v := judge(ops)
			if v.wrong[c.want] == 0 {
				t.Fatalf("found %v, want %s", v.wrong, c.want)
			}
		})
	}
}

func eachFinal(ops []op, stream string, change func(*op)) {
	for i := range ops {
		if ops[i].Kind == opFinal && ops[i].Stream == stream {
			change(&ops[i])
		}
	}
}

// swap exchanges two parts of a text.
func swap(s, a, b string) string {
	out := ""
	for len(s) > 0 {
		switch {
		case len(s) >= len(a) && s[:len(a)] == a:
			out, s = out+b, s[len(a):]
		case len(s) >= len(b) && s[:len(b)] == b:
			out, s = out+a, s[len(b):]
		default:
			out, s = out+s[:1], s[1:]
		}
	}
	return out
}

// TestUnknownMayLandOrNot: what nobody knows is held against nobody.
func TestUnknownMayLandOrNot(t *testing.T) {
	ops := goodHistory()
	for _, stream := range []string{"text/a", "reg/a"} {
		o := find(ops, opAppend, stream, -1)
		o.Result, o.Next = resultUnknown, ""
		lost := *o
		lost.Seq, lost.Body = 99, "p:99:0:\n"
		ops = append(ops, lost)
	}
	if err := judge(ops).err(); err != nil {
		t.Fatal(err)
	}
}
