// Command xpeft-lab is the command line of xpeft's research: it measures how well profiles are
// served, and draws what came of it. research/README.md says what each command does. Nothing that
// serves users needs it.
package main
