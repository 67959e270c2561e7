package deliver

import (
	"cmp"
	cryptorand "crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits that are not for configuration.
const (
	leaseShare       = 10       // the last tenth of a lease is kept for telling the log
	linksMax         = 1000     // streams in the body of a wake; with more, those with pending data alone
	answerBytesMax   = 64 << 10 // of a receiver's answer that are read
	commandsMax      = 256      // tasks of the leader's loop at once, sends among them
	dueMax           = 256      // subscriptions looked at at once ...
	dueCeiling       = 1 << 16  // ... and at most, while the targets of the first are busy
	wakeIDBytes      = 16
	retryPause       = 200 * time.Millisecond // before a subscription is looked at again that did not get on
	passPause        = 5 * time.Millisecond   // between two looks, the first of which found nothing
	farPause         = 50 * time.Millisecond  // between two looks beyond the first dueMax
	lookAgain        = time.Minute            // between two looks when nothing happens: clocks may be set
	keyWarnInterval  = time.Minute
	tokenBytesMax    = 1024
	keyEncryptionLen = 32
)

// Config configures a Deliverer. Zero values mean the documented default.
type Config struct {
	AllowInsecure    bool          // also http://localhost and http://127.0.0.1
	KeyEncryptionKey []byte        // 32 bytes that seal signing keys; nil leaves them plain
	RequestTimeout   time.Duration // of one delivery, its lease at most; 30 s
	Sends            int           // deliveries at once; 64
	SendsPerTarget   int           // deliveries at once to one scheme, host and port; 8

	Now      func() time.Time      // time.Now
	Random   func(b []byte)        // crypto/rand
	Jitter   func(max int) int     // random from 0 to max-1; math/rand/v2
	Resolver *net.Resolver         // net.DefaultResolver
	TLS      *tls.Config           // the system's roots
	Log      *slog.Logger          // discarded
	Metrics  prometheus.Registerer // none
}

// Validate names the field that cannot be used.
func (c Config) Validate() error {
	switch {
	case len(c.KeyEncryptionKey) != 0 && len(c.KeyEncryptionKey) != keyEncryptionLen:
		return fmt.Errorf("deliver: KeyEncryptionKey has %d bytes; use %d, or none", len(c.KeyEncryptionKey), keyEncryptionLen)
	case c.RequestTimeout < 0:
		return fmt.Errorf("deliver: RequestTimeout is %v; use a positive duration, or 0 for 30 s", c.RequestTimeout)
	case c.Sends < 0 || c.Sends > commandsMax/2:
		return fmt.Errorf("deliver: Sends is %d; use 1 to %d, or 0 for 64", c.Sends, commandsMax/2)
	case c.SendsPerTarget < 0:
		return errors.New("deliver: SendsPerTarget is negative; use a positive number, or 0 for 8")
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.RequestTimeout = cmp.Or(c.RequestTimeout, 30*time.Second)
	c.Sends = cmp.Or(c.Sends, 64)
	c.SendsPerTarget = cmp.Or(c.SendsPerTarget, 8)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = func(b []byte) { _, _ = cryptorand.Read(b) } // it ends the process rather than err
	}
	if c.Jitter == nil {
		c.Jitter = rand.IntN
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}
