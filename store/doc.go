// Package store keeps profiles at rest in one bbolt file.
package store
