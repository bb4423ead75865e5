package main

import "github.com/spf13/cobra"

// movedCommand stands in for a command of research, which is a program of its own.
func (a *app) movedCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              "Moved to xpeft-lab " + name,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("xpeft %s is xpeft-lab %[1]s now: make build puts it beside xpeft", name)
		},
	}
}
