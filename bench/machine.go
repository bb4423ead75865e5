//go:build cgo

package main

import (
	"os"
	"runtime"
	"strings"
)

// machine is what a reader needs to know to compare figures.
type machine struct {
	Go   string `json:"go"`
	CPU  string `json:"cpu"` // the model
	CPUs int    `json:"cpus"`
	Load string `json:"load"` // processes that wanted a core in the minute before the measurement began: below 0.5 it was quiet
}

func thisMachine() machine {
	m := machine{Go: runtime.Version(), CPUs: runtime.NumCPU(), CPU: runtime.GOARCH}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(string(info), m.CPU)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	return m
}

// cpuModel finds the model in /proc/cpuinfo's text.
func cpuModel(info, otherwise string) string {
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}
