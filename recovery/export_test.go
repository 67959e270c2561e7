package recovery

// Interrupted calls step after each step of a change, which ends where step
// returns an error.
func Interrupted(o Options, step func(name string) error) Options {
	o.hooks.step = step
	return o
}
