package deliver

import (
	"fmt"
	"net/netip"
)

// network is a range of addresses that no webhook may reach, and what it is.
type network struct {
	prefix netip.Prefix
	what   string
}

// refusedV4 is what of IPv4 is not the public internet (IANA's registry of special
// purposes), and what clouds answer on.
var refusedV4 = networks(
	"0.0.0.0/8", "this network",
	"10.0.0.0/8", "a private network",
	"100.64.0.0/10", "carrier-grade NAT", // and 100.100.100.200, metadata of a cloud
	"127.0.0.0/8", "loopback",
	"168.63.129.16/32", "the host of a cloud's machine", // public by number, but not in what it does
	"169.254.0.0/16", "link-local", // and 169.254.169.254, metadata of most clouds
	"172.16.0.0/12", "a private network",
	"192.0.0.0/24", "protocol assignments", // and 192.0.0.192, metadata of a cloud
	"192.0.2.0/24", "documentation",
	"192.88.99.0/24", "6to4 relays",
	"192.168.0.0/16", "a private network",
	"198.18.0.0/15", "benchmarks",
	"198.51.100.0/24", "documentation",
	"203.0.113.0/24", "documentation",
	"224.0.0.0/4", "multicast",
	"240.0.0.0/4", "reserved or broadcast",
)

// Of IPv6 only what has been given out for the public internet may be reached, and
// not all of that. Loopback, unique local, link-local and multicast addresses, and
// those that carry an IPv4 address for NAT64 or by mapping, lie outside.
var (
	publicV6  = netip.MustParsePrefix("2000::/3")
	refusedV6 = networks(
		"2001::/23", "protocol assignments", // and Teredo, which carries IPv4
		"2001:db8::/32", "documentation",
		"2002::/16", "6to4", // carries IPv4
		"3fff::/20", "documentation",
	)
)

func networks(pairs ...string) []network {
	var list []network
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, network{netip.MustParsePrefix(pairs[i]), pairs[i+1]})
	}
	return list
}

// checkPublic refuses an address that is not on the public internet, in whatever
// form it is written.
func checkPublic(a netip.Addr) error {
	a = a.WithZone("").Unmap()
	refused := refusedV6
	switch {
	case !a.IsValid():
		return fmt.Errorf("%w: no address", errAddress)
	case a.Is4():
		refused = refusedV4
	case !publicV6.Contains(a):
		return fmt.Errorf("%w: %s is not a public IPv6 address", errAddress, a)
	}
	for _, n := range refused {
		if n.prefix.Contains(a) {
			return fmt.Errorf("%w: %s is %s (%s)", errAddress, a, n.what, n.prefix)
		}
	}
	return nil
}

// checkLoopback refuses what is not this machine, for the exception made for
// development.
func checkLoopback(a netip.Addr) error {
	if !a.Unmap().IsLoopback() {
		return fmt.Errorf("%w: %s is not loopback, and plain http goes nowhere else", errAddress, a)
	}
	return nil
}
