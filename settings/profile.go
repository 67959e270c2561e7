package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const (
	profileFlag    = "profile"
	profileName    = envPrefix + "PROFILE"
	defaultProfile = "default"
	prodProfile    = "prod"
)

// readElsewhere tells of a variable of ours that is no setting.
func readElsewhere(name string) bool { return name == URLName || name == profileName }

// builtIn is what the built-in profiles say, as the Rust server's do where it has
// the same. A profile of one's own is a file in ./config.
func builtIn() map[string]map[string]string {
	return map[string]map[string]string{
		defaultProfile: {},
		"dev":          {"server.bind_address": "127.0.0.1:4437", "observability.log_level": "debug"},
		prodProfile:    {"storage.data_dir": "/var/lib/mainstem"},
		"prod-tls": {"storage.data_dir": "/var/lib/mainstem", "transport.mode": ModeTLS,
			"transport.http.versions": HTTP1 + "," + HTTP2},
		"prod-mtls": {"storage.data_dir": "/var/lib/mainstem", "transport.mode": ModeMTLS,
			"transport.http.versions": HTTP1 + "," + HTTP2},
	}
}

func profiles() []string { return slices.Sorted(maps.Keys(builtIn())) }

// inProduction tells whether the rules for production hold.
func inProduction(profile string) bool {
	return profile == prodProfile || strings.HasPrefix(profile, prodProfile+"-")
}

// loadProfile is the layer of a built-in profile; another has none.
func loadProfile(table []setting, profile string) layer {
	return layer{texts: maps.Clone(builtIn()[profile]), name: func(setting) string { return "profile " + profile }}
}

// chosenProfile is the one that --profile or the environment names.
func chosenProfile(flags *pflag.FlagSet, environ []string) (profile, source string) {
	if f := flags.Lookup(profileFlag); f != nil && f.Changed && f.Value.String() != "" {
		return f.Value.String(), "--" + profileFlag
	}
	if name := Variable(environ, profileName); name != "" {
		return name, profileName
	}
	return defaultProfile, ""
}

// unknownProfile is the error for one that neither is built in nor has a file.
func unknownProfile(profile, source, path string) error {
	hint := "want one of " + strings.Join(profiles(), ", ")
	if near := nearest(profile, profiles()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return fmt.Errorf("profile (%s): %q is not built in, and there is no file %s; %s", source, profile, path, hint)
}
