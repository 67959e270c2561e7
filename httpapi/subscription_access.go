package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"mainstem/auth"
	"mainstem/stream"
	"mainstem/subs"
)

// controls asks for what a call about a subscription shows or sets in motion: to
// follow every stream that it can match or names, and to append to its wake
// stream. Whoever may all that may configure it, and so may an administrator. What
// concerns no one subscription, or one that there is not, is an administrator's.
func controls(s *Server, k *call) ([]need, error) {
	id, action, err := controlled(s.controlPathOf(k.Request()))
	if err != nil || s.cfg.Subscriptions == nil || k.identity.May(auth.Admin, "") {
		return administration(s, k)
	}
	method := k.Request().Method
	_, isLink := strings.CutPrefix(action, "streams/")
	switch {
	case action == "" && method == http.MethodPut:
		return s.needsToCreate(k, id)
	case action == "" && (method == http.MethodGet || method == http.MethodDelete),
		isLink && method == http.MethodDelete:
		return s.needsOver(k, id)
	case action == "streams" && method == http.MethodPost:
		return s.needsToAdd(k, id)
	}
	return administration(s, k)
}

// needsToCreate also asks for what the subscription of that id, if there is one,
// does: the answer shows it.
func (s *Server) needsToCreate(k *call, id subs.ID) ([]need, error) {
	config, err := s.configOf(k)
	if err != nil {
		return nil, err
	}
	list := toFollow(config.Pattern, config.WakeStream)
	for _, name := range config.Streams {
		list = append(list, need{action: auth.Subscribe, name: name, what: "to " + string(name)})
	}
	sub, err := s.find(k.Request().Context(), id)
	var none *subs.Refusal
	switch {
	case errors.As(err, &none):
		return list, nil
	case err != nil:
		return nil, err
	}
	more, err := s.needsOf(sub)
	return append(list, more...), err
}

func (s *Server) needsToAdd(k *call, id subs.ID) ([]need, error) {
	names, err := s.followingOf(k)
	if err != nil {
		return nil, err
	}
	list, err := s.needsOver(k, id)
	for _, name := range names {
		list = append(list, need{action: auth.Subscribe, name: name, what: "to " + string(name)})
	}
	return list, err
}

// needsOver is for calls about a subscription as it is.
func (s *Server) needsOver(k *call, id subs.ID) ([]need, error) {
	sub, err := s.find(k.Request().Context(), id)
	var none *subs.Refusal
	switch {
	case errors.As(err, &none):
		return administration(s, k)
	case err != nil:
		return nil, err
	}
	return s.needsOf(sub)
}

// needsOf asks for every stream that the subscription can match, and those that
// were named one by one as far as it is shown with them. The refused are not told
// which.
func (s *Server) needsOf(sub *subs.Subscription) ([]need, error) {
	list := toFollow(sub.Config.Pattern, sub.Config.WakeStream)
	links, err := s.cfg.Subscriptions.Links(sub.Number, shownStreamsMax)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Explicit {
			list = append(list, need{action: auth.Subscribe, name: l.Name})
		}
	}
	for i := range list {
		list[i].what = ""
	}
	if len(list) == 0 { // every stream of it was taken out, and there is no pattern
		list = append(list, need{action: auth.Admin})
	}
	return list, nil
}

// toFollow asks for a pattern and for the wake stream, where there are such.
func toFollow(pattern string, wake stream.Name) (list []need) {
	if pattern != "" {
		p, no := subs.ParsePattern(pattern)
		if no != nil { // it was parsed before, and nobody may what cannot be read
			return []need{{action: auth.Admin}}
		}
		list = append(list, need{action: auth.Subscribe, pattern: &p, what: "to every stream that " + pattern + " matches"})
	}
	if wake != "" {
		list = append(list, need{action: auth.Append, name: wake, what: "to " + string(wake)})
	}
	return list
}
