package deliver

import (
	"context"
	"encoding/hex"

	"mainstem/stream"
	"mainstem/subs"
)

// Store is this node's copy of what subscriptions are. A *subs.Subscription that it
// returns does not change; a change puts another in its place.
type Store interface {
	Due(now stream.Time, limit int) []*subs.Subscription
	NextDue() (at stream.Time, ok bool)
	SubscriptionsBell() <-chan struct{}
	SubscriptionByNumber(number uint64) (*subs.Subscription, bool)
	EachSubscription(fn func(*subs.Subscription) bool)
	Links(number uint64, limit int) ([]subs.LinkInfo, error)
	SigningKeys() []subs.Key
}

// Log is the replicated log.
type Log interface {
	Submit(ctx context.Context, c stream.Command) (stream.Result, error)
	// Fence returns when this node's copy holds all that was committed anywhere
	// before the call.
	Fence(ctx context.Context) error
}

// sender makes one request. It is an interface for the sake of virtual time, in
// which there is no network.
type sender interface {
	send(ctx context.Context, target string, body []byte, signed string) (result, error)
	closeIdle()
}

// Deliverer wakes workers while its node leads, and signs and checks for every call
// that reaches its node.
type Deliverer struct {
	cfg     Config
	store   Store
	log     Log
	keys    *keyring
	sender  sender
	metrics *metrics
}

// New returns a Deliverer. It starts nothing: Lead does, and waits for it.
func New(cfg Config, store Store, log Log) (*Deliverer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Deliverer{
		cfg: cfg, store: store, log: log,
		keys:    newKeyring(cfg, store, log),
		sender:  newPoster(cfg),
		metrics: newMetrics(cfg.Metrics),
	}, nil
}

// CheckURL refuses a webhook URL that could never be sent to.
func (d *Deliverer) CheckURL(raw string) *subs.Refusal {
	if err := checkURL(raw, d.cfg.AllowInsecure); err != nil {
		return &subs.Refusal{Code: subs.WebhookURLRejected, Detail: "webhook.url: " + err.Error()}
	}
	return nil
}

// NewWakeID draws the id of a wake.
func (d *Deliverer) NewWakeID() string {
	b := make([]byte, wakeIDBytes)
	d.cfg.Random(b)
	return "w_" + hex.EncodeToString(b)
}

// CanMint returns why this node cannot make tokens: the signing key is sealed, and
// this node does not open it, or there is none and no leader to make one.
func (d *Deliverer) CanMint(ctx context.Context) error {
	_, err := d.keys.ensure(ctx)
	return err
}

// Mint returns a token for a wake or a claim, and makes the first signing key.
func (d *Deliverer) Mint(ctx context.Context, number, generation uint64) (token string, err error) {
	key, err := d.keys.ensure(ctx)
	if err != nil {
		return "", err
	}
	return mintToken(key, number, generation, d.cfg.Now())
}

// Verify returns the generation that a token speaks for. The error is a
// *subs.Refusal, unless this node could not learn whether the token is good.
func (d *Deliverer) Verify(ctx context.Context, token string, number uint64) (generation uint64, err error) {
	return d.keys.verifyToken(ctx, token, number)
}

// JWKS returns the JWK Set by which receivers verify signatures.
func (d *Deliverer) JWKS(ctx context.Context) (body []byte, err error) { return d.keys.jwks(ctx) }

// ActiveKid returns the id of the key that signs.
func (d *Deliverer) ActiveKid(ctx context.Context) (kid string, err error) {
	if err := d.keys.ensureRecord(ctx); err != nil {
		return "", err
	}
	if key, ok := activeKey(d.store.SigningKeys()); ok {
		return key.Kid, nil
	}
	return "", errNoKey
}

// Rotate makes a new signing key. The old public key stays in the JWK Set for as
// long as something that it signed may be on its way.
func (d *Deliverer) Rotate(ctx context.Context) (kid string, err error) { return d.keys.rotate(ctx) }

// command is what is proposed: any command of subs.
type command = subs.Command

// propose puts a command into the log and returns what it decided. The error is a
// *subs.Refusal when the log refused it.
func propose(ctx context.Context, log Log, c command) (subs.Outcome, error) {
	result, err := log.Submit(ctx, subs.Wrap(c))
	if err != nil {
		return subs.Outcome{}, err
	}
	outcome, no, err := subs.Read(result)
	switch {
	case err != nil:
		return subs.Outcome{}, err
	case no != nil:
		return subs.Outcome{}, no
	}
	return outcome, nil
}
