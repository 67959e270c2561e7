package main

import (
	"io"
	"log/slog"

	"mainstem/settings"
)

// newLogger writes to w what the settings ask for, and to recent, as JSON, all from
// info on: who asks for the last lines wants to know what happened, whatever the
// log is told to say. The level was checked when the settings were read.
func newLogger(cfg settings.Log, w, recent io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level))
	options := &slog.HandlerOptions{Level: level}
	var told slog.Handler = slog.NewTextHandler(w, options)
	if cfg.Format == "json" {
		told = slog.NewJSONHandler(w, options)
	}
	return slog.New(slog.NewMultiHandler(told, slog.NewJSONHandler(recent, &slog.HandlerOptions{Level: slog.LevelInfo})))
}
