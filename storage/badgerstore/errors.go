// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Reasons for which [Open] refuses a directory.
var (
	ErrDamaged = errors.New("the store is damaged; restore the directory from a backup, or move it away to begin empty")
	ErrForeign = errors.New("this is not a store of Gatehouse's; name an empty directory")
	ErrNewer   = errors.New("the store is of a newer release; run that release, or restore a backup made with this one")
)

// LockedError says that another process, or this one, holds the directory.
type LockedError struct {
	Dir string
	// PID is the holder as it wrote itself down; zero when it did not. A holder in another container counts differently.
	PID int
	// Command is the holder's command, where the system tells.
	Command string
}

// Error names the directory and the holder.
func (e *LockedError) Error() string {
	holder := "another process"
	switch {
	case e.PID != 0 && e.Command != "":
		holder = fmt.Sprintf("process %d (%s)", e.PID, e.Command)
	case e.PID != 0:
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("the directory %q is in use by %s; stop it, or give this one a directory of its own", e.Dir, holder)
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w (%w)", fmt.Errorf(format, args...), ErrDamaged)
}

// recoverDamage turns a panic of Badger's into an error. Badger indexes into its files on the assumption that they are
// whole.
func recoverDamage(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("%w: %w", storage.ErrUnavailable, damaged("Badger gave up: %.200v", cause))
	}
}

// unreadable is for what Badger cannot read: the fault is the disk's, whatever it is.
func unreadable(err error) error {
	return fmt.Errorf("reading from Badger: %w: %w", storage.ErrUnavailable, err)
}

// refused sorts Badger's refusal to open a directory: most is damage, but a limit of the system or a right that is missing
// is not, and nobody should restore a backup over it. Badger flattens its causes to text, so the text has to be asked.
func refused(err error) error {
	for _, cause := range []syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EIO, syscall.ENOSPC, syscall.EDQUOT,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN,
	} {
		if strings.Contains(err.Error(), cause.Error()) {
			return fmt.Errorf("opening it with Badger: %w (%v)", fullOr(cause), err)
		}
	}
	return damaged("Badger refuses it: %v", err)
}

// fullOr marks the system's errors for a full disk.
func fullOr(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	}
	return err
}
