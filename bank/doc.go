// Package bank holds the N frozen adapters that profiles choose from.
package bank
