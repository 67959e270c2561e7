package main

import (
	"io"
	"log/slog"
)

// newLogger writes to w what the settings ask for. The level was checked when
// the settings were read.
func newLogger(cfg logConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.level))
	options := &slog.HandlerOptions{Level: level}
	if cfg.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
