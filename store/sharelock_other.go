//go:build !unix || aix || android || openbsd || solaris

package store

import (
	"errors"
	"os"
)

// shareLock cannot be where locks belong to the process: closing one file would
// unlock the other.
func shareLock(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func relock(*os.File) error { return nil }
