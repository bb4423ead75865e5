// Package digits
package digits
