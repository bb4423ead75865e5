package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version of this build.
type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	LibTorch bool   `json:"libtorch"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  cobra.NoArgs,
		RunE: a.runs(func(context.Context, []string) error {
			v := version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, LibTorch: hasTorch}
			if info, ok := debug.ReadBuildInfo(); ok {
				v.Version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Commit = s.Value
					}
				}
			}
			return a.print(v, v.text)
		}),
	}
}

func (v version) text(w io.Writer) {
	with := "with libtorch"
	if !v.LibTorch {
		with = "without libtorch: no init, learn and predict"
	}
	fmt.Fprintf(w, "xpeft %s, %s, %s, %s\n", v.Version, v.Go, v.Platform, with)
}
