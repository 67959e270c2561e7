package deliver

import (
	"errors"
	"net/netip"
	"testing"
)

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	for address, public := range map[string]bool{
		"8.8.8.8":         true,
		"93.184.216.34":   true,
		"100.63.255.255":  true,
		"100.128.0.0":     true,
		"172.15.255.255":  true,
		"172.32.0.0":      true,
		"192.167.255.255": true,
		"223.255.255.255": true,
		"168.63.129.15":   true,

		"0.0.0.0":         false,
		"0.1.2.3":         false,
		"10.0.0.1":        false,
		"10.255.255.255":  false,
		"100.64.0.1":      false,
		"100.100.100.200": false, // metadata
		"100.127.255.255": false,
		"127.0.0.1":       false,
		"127.255.255.254": false,
		"168.63.129.16":   false,
		"169.254.0.1":     false,
		"169.254.169.254": false, // metadata
		"172.16.0.1":      false,
		"172.31.255.255":  false,
		"192.0.0.192":     false, // metadata
		"192.0.2.1":       false,
		"192.88.99.1":     false,
		"192.168.1.1":     false,
		"198.18.0.1":      false,
		"198.19.255.255":  false,
		"198.51.100.7":    false,
		"203.0.113.9":     false,
		"224.0.0.1":       false,
		"239.255.255.255": false,
		"240.0.0.1":       false,
		"255.255.255.255": false,

		"2606:4700:4700::1111":    true,
		"2001:4860:4860::8888":    true,
		"2a00:1450:4001:80b::200": true,

		"::":                     false,
		"::1":                    false,
		"::ffff:8.8.8.8":         true, // mapped: what is dialled is the address within
		"::ffff:10.0.0.1":        false,
		"::ffff:127.0.0.1":       false,
		"::ffff:169.254.169.254": false,
		"::7f00:1":               false, // compatible
		"64:ff9b::a00:1":         false, // NAT64
		"64:ff9b:1::a00:1":       false,
		"100::1":                 false,
		"2001::1":                false, // Teredo
		"2001:20::1":             false, // ORCHID
		"2001:db8::1":            false,
		"2002:a00:1::":           false, // 6to4 of 10.0.0.1
		"2002:7f00:1::1":         false,
		"3fff::1":                false,
		"4000::1":                false,
		"5f00::1":                false,
		"fc00::1":                false,
		"fd00:ec2::254":          false, // metadata
		"fe80::1":                false,
		"fe80::1%eth0":           false,
		"2606:4700::1111%eth0":   true,
		"fec0::1":                false,
		"ff02::1":                false,
	} {
		err := checkPublic(netip.MustParseAddr(address))
		if got := err == nil; got != public {
			t.Errorf("%s: reached %v, want %v (%v)", address, got, public, err)
		}
		if err != nil && !errors.Is(err, errAddress) {
			t.Errorf("%s: %v is not errAddress", address, err)
		}
	}
	if checkPublic(netip.Addr{}) == nil {
		t.Error("no address at all is reached")
	}
}

// The ranges must also hold at both of their ends, whatever is added to the table.
func TestRefusedNetworksAreRefusedAtBothEnds(t *testing.T) {
	for _, n := range append(refusedV4, refusedV6...) {
		first, last := n.prefix.Masked().Addr(), n.prefix.Addr().AsSlice()
		for bit := n.prefix.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		end, _ := netip.AddrFromSlice(last)
		if checkPublic(first) == nil || checkPublic(end) == nil {
			t.Errorf("%s (%s): %s or %s is reached", n.prefix, n.what, first, end)
		}
		if n.prefix != n.prefix.Masked() {
			t.Errorf("%s has bits after its prefix", n.prefix)
		}
	}
}

func TestPlainHTTPReachesThisMachineAlone(t *testing.T) {
	for address, local := range map[string]bool{
		"127.0.0.1": true, "127.0.0.2": true, "::1": true, "::ffff:127.0.0.1": true,
		"10.0.0.1": false, "8.8.8.8": false, "169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "::": false,
	} {
		if got := checkLoopback(netip.MustParseAddr(address)) == nil; got != local {
			t.Errorf("%s: reached %v, want %v", address, got, local)
		}
	}
}
