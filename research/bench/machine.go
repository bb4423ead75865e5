package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what a reader needs to know to compare figures.
type machine struct {
	Go   string `json:"go"`
	CPU  string `json:"cpu"` // the model
	CPUs int    `json:"cpus"`
	// share of the cores' time that other programs took meanwhile; -1 where that is not known
	Others float64 `json:"others"`
}

func thisMachine() machine {
	m := machine{Go: runtime.Version(), CPUs: runtime.NumCPU(), CPU: runtime.GOARCH, Others: -1}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuField(string(info), "model name", m.CPU)
	}
	return m
}

// cpuField finds a value in /proc/cpuinfo's text.
func cpuField(info, field, otherwise string) string {
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// precisionNote says which CPU /proc/cpuinfo's text shows, and what of it makes bfloat16 and int8
// fast.
func precisionNote(info string) string {
	flags := strings.Fields(cpuField(info, "flags", ""))
	var has, lacks []string
	for _, flag := range []string{"avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"} {
		if slices.Contains(flags, flag) {
			has = append(has, flag)
		} else {
			lacks = append(lacks, flag)
		}
	}
	note := fmt.Sprintf("the CPU: family %s, model %s; has %s; lacks %s", cpuField(info, "cpu family", "?"),
		cpuField(info, "model", "?"), orDefault(strings.Join(has, ", "), "none of these"),
		orDefault(strings.Join(lacks, ", "), "none of these"))
	if slices.Contains(lacks, "amx_tile") {
		note += ": AMX is not there or masked, so no library's bfloat16 or int8 uses it"
	}
	return note
}

// watch begins to watch the cores; others is what share of their time other programs took since,
// and the hypervisor for other machines.
func watch() (others func() float64) {
	began, busy, ok := time.Now(), time.Duration(0), false
	if stat, err := os.ReadFile("/proc/stat"); err == nil {
		busy, ok = busyTime(string(stat))
	}
	own := ownTime()
	return func() float64 {
		stat, err := os.ReadFile("/proc/stat")
		now, again := busyTime(string(stat))
		if err != nil || !ok || !again {
			return -1
		}
		theirs := now - busy - (ownTime() - own)
		return max(0, theirs.Seconds()/(time.Since(began).Seconds()*float64(runtime.NumCPU())))
	}
}

// busyTime is how long the cores of /proc/stat's text were not idle, since the machine started: in
// its first line are user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a
// second.
func busyTime(stat string) (d time.Duration, ok bool) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, false
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 { // idle, iowait
			d += time.Duration(n) * (time.Second / 100)
		}
	}
	return d, true
}

// ownTime is what this program took, and those that it ran and that have ended.
func ownTime() (d time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			d += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return d
}
