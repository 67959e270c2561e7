package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/stream"
	"mainstem/subs"
)

// receiver is what is at the other end of a sender, in virtual time.
type receiver struct {
	mu     sync.Mutex
	sent   []sending
	now    map[string]int // under way, by target
	most   map[string]int
	all    int
	mostly int
	answer func(ctx context.Context, s sending) (result, error)
}

type sending struct {
	wakeBody
	at  time.Time
	url string
}

func newReceiver(answer func(context.Context, sending) (result, error)) *receiver {
	return &receiver{now: map[string]int{}, most: map[string]int{}, answer: answer}
}

func (r *receiver) closeIdle() {}

func (r *receiver) send(ctx context.Context, target string, body []byte, _ string) (result, error) {
	s := sending{at: time.Now(), url: target}
	if err := json.Unmarshal(body, &s.wakeBody); err != nil {
		return resultBroken, err
	}
	origin := targetOf(target)
	r.mu.Lock()
	r.sent = append(r.sent, s)
	r.now[origin]++
	r.all++
	r.most[origin], r.mostly = max(r.most[origin], r.now[origin]), max(r.mostly, r.all)
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now[origin]--
		r.all--
	}()
	return answer(ctx, s)
}

func (r *receiver) got() []sending {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sending(nil), r.sent...)
}

func finish(context.Context, sending) (result, error) { return resultDone, nil }
func accept(context.Context, sending) (result, error) { return resultAccepted, nil }
func refuse(context.Context, sending) (result, error) {
	return resultStatus, errors.New("the receiver answered 500")
}

// take answers after a time, unless it is broken off.
func take(d time.Duration, how result) func(context.Context, sending) (result, error) {
	return func(ctx context.Context, _ sending) (result, error) {
		select {
		case <-time.After(d):
			return how, nil
		case <-ctx.Done():
			return resultTimeout, ctx.Err()
		}
	}
}

// lead runs a Deliverer until the returned function is called.
func lead(t *testing.T, b *book, r *receiver, cfg Config) (end func()) {
	t.Helper()
	if cfg.Random == nil {
		cfg.Random = counting()
	}
	if cfg.Jitter == nil {
		cfg.Jitter = func(max int) int { return max / 2 } // none
	}
	d, err := New(cfg, b, b)
	if err != nil {
		t.Fatal(err)
	}
	d.sender = r
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Lead(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// settle lets time go by, and all that comes of it be done.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const hook = "https://worker.example.com/hooks"

func TestEachWakeIsDeliveredAndAcked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(finish)
		number := b.webhook(t, "a b/ü", hook, 30*time.Second, "events/1", "events/2")
		defer lead(t, b, r, Config{})()
		settle(time.Minute)
		if n := len(r.got()); n != 0 {
			t.Fatalf("%d deliveries with nothing pending", n)
		}
		b.append("events/1")
		settle(time.Second)
		b.append("events/2")
		settle(time.Second)
		sent := r.got()
		if len(sent) != 2 || b.pending(number) != 0 {
			t.Fatalf("%d deliveries and %d streams pending, want 2 and none", len(sent), b.pending(number))
		}
		for i, s := range sent {
			if s.Generation != uint64(i+1) || s.SubscriptionID != "a b/ü" || s.CallbackToken == "" || len(s.Streams) != 2 {
				t.Errorf("delivery %d: %+v", i, s)
			}
			if want := "https://server.example/v1/stream/__ds/subscriptions/a%20b%2F%C3%BC/callback"; s.CallbackURL != want {
				t.Errorf("callback_url %s, want %s", s.CallbackURL, want)
			}
		}
		if sent[0].WakeID == sent[1].WakeID {
			t.Error("two wakes have one id")
		}
		one := sent[0].Streams[0]
		if one.Path != "events/1" || one.LinkType != "explicit" || !one.HasPending || one.AckedOffset >= one.TailOffset {
			t.Errorf("stream of the first delivery: %+v", one)
		}
		if b.get(number).Phase != subs.Idle {
			t.Errorf("phase %d after done, want idle", b.get(number).Phase)
		}
	})
}

// What arrives while a delivery is under way is not in its snapshot, so done does
// not cover it, and it wakes again.
func TestDoneCoversTheSnapshotAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(take(10*time.Second, resultDone))
		number := b.webhook(t, "s", hook, 30*time.Second, "events/1")
		defer lead(t, b, r, Config{})()
		b.append("events/1")
		settle(5 * time.Second)
		b.append("events/1")
		settle(6 * time.Second)
		sent := r.got()
		if len(sent) != 2 || sent[1].Generation != 2 || sent[1].WakeID == sent[0].WakeID {
			t.Fatalf("%d deliveries, want a second wake: %+v", len(sent), sent)
		}
		if sent[1].Streams[0].AckedOffset != sent[0].Streams[0].TailOffset {
			t.Errorf("acked %s, want the first snapshot's tail %s", sent[1].Streams[0].AckedOffset, sent[0].Streams[0].TailOffset)
		}
		settle(time.Minute)
		if n := len(r.got()); n != 2 || b.pending(number) != 0 {
			t.Fatalf("%d deliveries and %d pending, want 2 and none", n, b.pending(number))
		}
	})
}

// §7.1: 1 s to 60 s, doubling, moved by up to a fifth either way; one wake.
func TestRetriesBackOffWithTheSameWake(t *testing.T) {
	for what, c := range map[string]struct {
		draw  func(int) int
		share float64
	}{
		"no jitter": {func(max int) int { return max / 2 }, 1},
		"least":     {func(int) int { return 0 }, 0.8},
		"most":      {func(max int) int { return max - 1 }, 1.2},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, r := newBook(), newReceiver(refuse)
				number := b.webhook(t, "s", hook, 30*time.Second, "events/1")
				defer lead(t, b, r, Config{Jitter: c.draw})()
				b.append("events/1")
				settle(10 * time.Minute)
				sent := r.got()
				for i, pause := range []float64{1, 2, 4, 8, 16, 32, 60, 60} {
					want := time.Duration(pause * c.share * float64(time.Second))
					if got := sent[i+1].at.Sub(sent[i].at); got < want || got > want+50*time.Millisecond {
						t.Errorf("pause %d: %v, want %v", i, got, want)
					}
					if sent[i+1].WakeID != sent[0].WakeID || sent[i+1].Generation != 1 {
						t.Fatalf("attempt %d is of wake %s, generation %d", i+1, sent[i+1].WakeID, sent[i+1].Generation)
					}
				}
				if !b.get(number).Failed {
					t.Error("the status is active")
				}
				b.append("events/1") // a retry's snapshot is of its own time
				r.mu.Lock()
				r.answer = finish
				r.mu.Unlock()
				settle(2 * time.Minute)
				if s := b.get(number); s.Failed || s.Retries != 0 || s.Pending != 0 || s.Generation != 1 {
					t.Errorf("after success: %+v", s)
				}
			})
		})
	}
}

// The schedule is in the log: another leader keeps it.
func TestRetryScheduleOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(refuse)
		b.webhook(t, "s", hook, 30*time.Second, "events/1")
		end := lead(t, b, r, Config{})
		b.append("events/1")
		settle(16 * time.Second) // attempts at 0, 1, 3, 7 and 15 s
		end()
		if n := len(r.got()); n != 5 {
			t.Fatalf("%d attempts, want 5", n)
		}
		settle(5 * time.Second)
		defer lead(t, b, r, Config{})()
		settle(9 * time.Second)
		if n := len(r.got()); n != 5 {
			t.Fatalf("%d attempts: the new leader did not wait", n)
		}
		settle(2 * time.Second)
		sent := r.got()
		if len(sent) != 6 || sent[5].WakeID != sent[0].WakeID {
			t.Fatalf("%d attempts, want the sixth, of the same wake", len(sent))
		}
		if pause := sent[5].at.Sub(sent[4].at); pause < 16*time.Second || pause > 16*time.Second+100*time.Millisecond {
			t.Errorf("pause %v, want 16 s", pause)
		}
	})
}

func TestDeposedLeaderSendsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(take(10*time.Second, resultDone))
		for i := range 20 {
			b.webhook(t, subs.ID(fmt.Sprint(i)), hook, 30*time.Second, "events/1")
		}
		registry := prometheus.NewRegistry()
		end := lead(t, b, r, Config{Metrics: registry})
		b.append("events/1")
		settle(time.Second)
		before := time.Now()
		end()
		if took := time.Since(before); took != 0 {
			t.Errorf("ending took %v: deliveries were waited for instead of broken off", took)
		}
		sent, told := len(r.got()), b.told()
		settle(time.Minute)
		if len(r.got()) != sent || b.told() != told {
			t.Fatalf("%d deliveries and %d commands after the end", len(r.got())-sent, b.told()-told)
		}
		if sent != 8 {
			t.Fatalf("%d deliveries were under way, want 8", sent)
		}
		if n := deliveries(t, registry); n != 0 {
			t.Fatalf("%v deliveries were counted as ended: they were broken off", n)
		}
	})
}

// deliveries is how many have ended, whatever their result.
func deliveries(t *testing.T, r *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "mainstem_webhook_deliveries_total" {
			for _, m := range f.Metric {
				n += m.Counter.GetValue()
			}
		}
	}
	return n
}

// A leader that does not know yet that it is none sends nothing that the log has
// not agreed to, and what it learns does not count when it is late.
func TestTwoLeadersSendOnlyWhatTheLogAgreedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		calls := 0
		r := newReceiver(nil)
		r.answer = func(ctx context.Context, s sending) (result, error) {
			r.mu.Lock()
			calls++
			turn := calls % 5
			r.mu.Unlock()
			switch turn {
			case 0:
				return resultStatus, errors.New("the receiver answered 500")
			case 1:
				return take(3*time.Second, resultDone)(ctx, s)
			case 2:
				return take(time.Hour, resultDone)(ctx, s)
			case 3:
				return resultAccepted, nil
			}
			return resultDone, nil
		}
		var numbers []uint64
		for i := range 20 {
			numbers = append(numbers, b.webhook(t, subs.ID(fmt.Sprint(i)), fmt.Sprintf("https://h%d.example.com/", i), 5*time.Second, "events/1", "events/2"))
		}
		endOld := lead(t, b, r, Config{})
		other := counting()
		endNew := lead(t, b, r, Config{Random: func(p []byte) { other(p); p[0] ^= 0x80 }})
		defer endNew()
		for range 200 {
			b.append("events/1")
			b.append("events/2")
			settle(150 * time.Millisecond)
		}
		endOld()
		settle(10 * time.Minute)
		for _, number := range numbers {
			if b.pending(number) != 0 {
				t.Errorf("subscription %d has pending data ten minutes after the last append", number)
			}
		}
		sent, wakes := r.got(), map[string]string{}
		for _, s := range sent {
			key := fmt.Sprint(s.SubscriptionID, "/", s.Generation)
			if before, ok := wakes[key]; ok && before != s.WakeID {
				t.Errorf("%s was sent as %s and as %s", key, before, s.WakeID)
			}
			wakes[key] = s.WakeID
		}
		agreed := b.counted(func() int { return b.agreed })
		if len(sent) > agreed || len(sent) < 100 {
			t.Errorf("%d requests for %d agreed attempts", len(sent), agreed)
		}
		t.Logf("%d requests, %d agreed attempts, %d generations", len(sent), agreed, len(wakes))
	})
}

// A deposed leader is not done before all that it started is: the next time of
// leading must find nothing of the last.
func TestLeadWaitsForWhatItStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(func(context.Context, sending) (result, error) {
			time.Sleep(10 * time.Second) // deaf to its context
			return resultDone, nil
		})
		number := b.webhook(t, "s", hook, time.Minute, "events/1")
		end := lead(t, b, r, Config{})
		b.append("events/1")
		settle(time.Second)
		before := time.Now()
		end()
		if took := time.Since(before); took < 8*time.Second {
			t.Fatalf("Lead returned after %v, with a delivery under way", took)
		}
		if b.pending(number) == 0 {
			t.Fatal("a deposed leader told the log of a delivery")
		}
	})
}

// The next leader does not wait for the lease of what its predecessor was sending.
func TestNextLeaderTakesUpWhatWasBeingSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(take(time.Hour, resultDone))
		number := b.webhook(t, "s", hook, 10*time.Minute, "events/1")
		end := lead(t, b, r, Config{})
		b.append("events/1")
		settle(time.Second)
		end()
		r.mu.Lock()
		r.answer = finish
		r.mu.Unlock()
		defer lead(t, b, r, Config{})()
		settle(time.Second)
		sent := r.got()
		if len(sent) != 2 || sent[1].WakeID != sent[0].WakeID || sent[1].Generation != 1 {
			t.Fatalf("deliveries: %+v; want the same wake twice", sent)
		}
		if b.pending(number) != 0 {
			t.Error("not acked")
		}
	})
}

// An answer that is lost on its way from the log must cost a moment, not a lease.
func TestLostAnswersOfTheLogAreMadeUpFor(t *testing.T) {
	for what, lost := range map[string]func(subs.Command) bool{
		"wake":    func(c subs.Command) bool { _, ok := c.(subs.Wake); return ok },
		"attempt": func(c subs.Command) bool { _, ok := c.(subs.Attempt); return ok },
		"ack":     func(c subs.Command) bool { _, ok := c.(subs.Ack); return ok },
		"failure": func(c subs.Command) bool { _, ok := c.(subs.DeliveryFailed); return ok },
	} {
		for form, carriedOut := range map[string]bool{"after": true, "before": false} {
			t.Run(what+" "+form, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, r := newBook(), newReceiver(finish)
					failed := false
					r.answer = func(context.Context, sending) (result, error) {
						if !failed { // so that there is a failure, and an attempt after it
							failed = true
							return resultStatus, errors.New("not yet")
						}
						return resultDone, nil
					}
					number := b.webhook(t, "s", hook, 10*time.Minute, "events/1")
					once := 0
					fault := func(c subs.Command) error {
						if lost(c) && once == 0 {
							once++
							return errUnknown
						}
						return nil
					}
					if carriedOut {
						b.lose = fault
					} else {
						b.drop = fault
					}
					defer lead(t, b, r, Config{})()
					b.append("events/1")
					settle(3 * time.Second)
					if once != 1 {
						t.Fatal("nothing was lost")
					}
					if s := b.get(number); s.Pending != 0 || s.WakeID != "" || s.Generation != 1 {
						t.Fatalf("after three seconds: %+v", s)
					}
				})
			})
		}
	}
}

func TestLeaseOfASilentReceiverLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(accept)
		b.webhook(t, "s", hook, 30*time.Second, "events/1")
		defer lead(t, b, r, Config{})()
		b.append("events/1")
		settle(29 * time.Second)
		if n := len(r.got()); n != 1 {
			t.Fatalf("%d deliveries within the lease, want 1", n)
		}
		settle(2 * time.Second)
		sent := r.got()
		if len(sent) != 2 || sent[1].Generation != 2 || sent[1].WakeID == sent[0].WakeID {
			t.Fatalf("%d deliveries, want a second wake after the lease", len(sent))
		}
	})
}

// A receiver that hangs is given up before its lease is over, so the same wake is
// sent again, by the schedule.
func TestHangingReceiverIsGivenUpWithinItsLease(t *testing.T) {
	for lease, most := range map[time.Duration]time.Duration{time.Second: time.Second, 10 * time.Minute: 31 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b, r := newBook(), newReceiver(take(time.Hour, resultDone))
			b.webhook(t, "s", hook, lease, "events/1")
			defer lead(t, b, r, Config{})()
			b.append("events/1")
			settle(most + 2*time.Second)
			sent := r.got()
			if len(sent) < 2 || sent[1].WakeID != sent[0].WakeID || sent[1].Generation != 1 {
				t.Fatalf("lease %v: deliveries %+v, want the same wake again", lease, sent)
			}
		})
	}
}

func TestDeliveriesAreBoundedPerTargetAndInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow, quick, each = 40, 20, 30
		b := newBook()
		r := newReceiver(func(ctx context.Context, s sending) (result, error) {
			if targetOf(s.url) == "https://slow.example.com:443" {
				return take(20*time.Second, resultDone)(ctx, s)
			}
			return take(100*time.Millisecond, resultDone)(ctx, s)
		})
		for i := range slow * each { // more than are looked at at once
			b.webhook(t, subs.ID(fmt.Sprint("slow", i)), "https://slow.example.com/hooks", 10*time.Minute, "events/1")
		}
		for i := range quick * each {
			b.webhook(t, subs.ID(fmt.Sprint("quick", i)), fmt.Sprintf("https://h%d.example.com/", i%quick), 10*time.Minute, "events/1")
		}
		defer lead(t, b, r, Config{})()
		b.append("events/1")
		settle(5 * time.Second)
		quickly := 0
		for _, s := range r.got() {
			if targetOf(s.url) != "https://slow.example.com:443" {
				quickly++
			}
		}
		if quickly != quick*each {
			t.Errorf("%d of %d deliveries to quick targets within 5 s: a slow one holds them up", quickly, quick*each)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for target, n := range r.most {
			if n > 8 {
				t.Errorf("%d deliveries at once to %s, want at most 8", n, target)
			}
		}
		if r.mostly > 64 || r.mostly < 32 {
			t.Errorf("%d deliveries at once, want at most 64, and many", r.mostly)
		}
		if n := r.most["https://slow.example.com:443"]; n != 8 {
			t.Errorf("%d deliveries at once to the slow target, want 8", n)
		}
	})
}

func TestPullWakeAnnouncesOncePerGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(finish)
		b.append("wake/pool")
		number := b.create(t, "p", subs.Config{Kind: subs.PullWake, WakeStream: "wake/pool", LeaseTTL: 10 * time.Second, Streams: []stream.Name{"events/1"}})
		defer lead(t, b, r, Config{})()
		b.append("events/1")
		settle(time.Hour)
		if b.announced() != 1 || b.get(number).Generation != 1 {
			t.Fatalf("%d events in generation %d, want 1 and 1: nobody has claimed yet", b.announced(), b.get(number).Generation)
		}
		if _, err := propose(t.Context(), b, subs.Claim{ID: "p", Worker: "w1", WakeID: "w_x"}); err != nil {
			t.Fatal(err)
		}
		settle(9 * time.Second)
		if b.announced() != 1 {
			t.Fatalf("%d events while a worker holds the lease, want 1", b.announced())
		}
		settle(2 * time.Second)
		if b.announced() != 2 || b.get(number).Generation != 2 || b.get(number).Holder != "" {
			t.Fatalf("%d events after the lease, want a second: %+v", b.announced(), b.get(number))
		}
		if n := len(r.got()); n != 0 {
			t.Fatalf("%d requests for a pull-wake", n)
		}
	})
}

func TestStepsGoOnWithoutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		for i := range 5000 {
			b.streams[stream.Name(fmt.Sprintf("events/%04d", i))] = &stream.State{Incarnation: uint64(i + 1), Pos: 10, ContentType: "application/json"}
		}
		b.drawn = 5000
		number := b.create(t, "p", subs.Config{Kind: subs.Webhook, URL: hook, Pattern: "events/*"})
		defer lead(t, b, newReceiver(finish), Config{})()
		settle(time.Second)
		if n := b.linked(number); n != 5000 || b.get(number).Linking {
			t.Fatalf("%d streams linked within a second by %d steps, want 5000", n, count[subs.Step](b))
		}
	})
}

// A loop that turns while nothing is owed would burn a processor on every leader.
func TestLoopSleepsWhileNothingIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		b.webhook(t, "s", hook, 30*time.Second, "events/1")
		defer lead(t, b, newReceiver(finish), Config{})()
		b.append("events/1")
		settle(time.Minute)
		looks := b.looked()
		settle(time.Hour)
		if n := b.looked() - looks; n > 61 {
			t.Fatalf("looked %d times in an hour of nothing", n)
		}
	})
}

// A refused or pointless command is not repeated at once: by the log's time a thing
// may not be due yet that is due by this node's clock.
func TestClockAheadOfTheLogDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(accept)
		b.webhook(t, "s", hook, 30*time.Second, "events/1")
		defer lead(t, b, r, Config{Now: func() time.Time { return time.Now().Add(5 * time.Second) }})()
		b.append("events/1")
		settle(32 * time.Second)
		if n := count[subs.Lapse](b); n == 0 || n > 30 {
			t.Fatalf("%d commands to end one lease, want some 25", n)
		}
		if n := len(r.got()); n != 2 {
			t.Fatalf("%d deliveries, want 2", n)
		}
	})
}

func TestWebhooksWaitForAKeyThatCanSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(finish)
		kek := make([]byte, 32)
		sealed, err := New(Config{KeyEncryptionKey: kek, Random: counting()}, b, b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sealed.ActiveKid(t.Context()); err != nil {
			t.Fatal(err)
		}
		number := b.webhook(t, "s", hook, 30*time.Second, "events/1")
		end := lead(t, b, r, Config{})
		b.append("events/1")
		settle(10 * time.Minute)
		if n := count[subs.Wake](b); n != 0 || len(r.got()) != 0 {
			t.Fatalf("%d wakes and %d deliveries without a key", n, len(r.got()))
		}
		end()
		defer lead(t, b, r, Config{KeyEncryptionKey: kek})()
		settle(time.Second)
		if n := len(r.got()); n != 1 || b.pending(number) != 0 {
			t.Fatalf("%d deliveries with the key, want 1", n)
		}
	})
}

func TestDeletedSubscriptionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, r := newBook(), newReceiver(refuse)
		b.webhook(t, "s", hook, 30*time.Second, "events/1")
		defer lead(t, b, r, Config{})()
		b.append("events/1")
		settle(500 * time.Millisecond)
		if _, err := propose(t.Context(), b, subs.Delete{ID: "s"}); err != nil {
			t.Fatal(err)
		}
		settle(time.Hour)
		if n := len(r.got()); n != 1 {
			t.Fatalf("%d deliveries, want the one before the deletion", n)
		}
		if b.known() != 0 {
			t.Error("the tombstone was not cleaned away")
		}
	})
}
