package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// version of this build.
type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	LibTorch bool   `json:"libtorch"`

	Engines []string `json:"engines"`
	Kernel  string   `json:"kernel"`

	// Precision is what Options.Precision "auto" means here.
	Precision string `json:"precision"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  cobra.NoArgs,
		RunE: a.runs(func(context.Context, []string) error {
			v := version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
				Engines: sdk.Engines(), Kernel: model.Kernel(), Precision: model.AutoPrecision()}
			v.LibTorch = slices.Contains(v.Engines, "torch")
			if info, ok := debug.ReadBuildInfo(); ok {
				v.Version = info.Main.Version
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Commit = s.Value
					}
				}
			}
			return a.say(v)
		}),
	}
}

func (v version) text(w io.Writer) {
	fmt.Fprintf(w, "xpeft %s, %s, %s, engines %s, kernels %s, auto precision %s\n",
		v.Version, v.Go, v.Platform, strings.Join(v.Engines, " and "), v.Kernel, v.Precision)
}
