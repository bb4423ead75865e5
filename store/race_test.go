//go:build race

package store

// raceEnabled is true under -race, where large tests are made small.
const raceEnabled = true
