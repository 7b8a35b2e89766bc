// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// playHold holds a store until its input ends.
func playHold(dir string) error {
	db, err := badgerstore.Open(context.Background(), badgerstore.Config{Dir: dir, Now: time.Now})
	if err != nil {
		return err
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return db.Close()
}

func TestALockedDirectoryNamesItsHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := process(t, "hold", dir)
	in, inErr := child.StdinPipe()
	out, outErr := child.StdoutPipe()
	if err := errors.Join(inErr, outErr, child.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the holder says %q and %v", line, err)
	}
	_, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: time.Now})
	var locked *badgerstore.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("opening a held directory: %v", err)
	}
	canonical, _ := badgerstore.CanonicalDir(dir)
	if locked.PID != child.Process.Pid || locked.Dir != canonical {
		t.Errorf("the holder is told as %+v, want process %d in %q", locked, child.Process.Pid, canonical)
	}
	if _, err := os.Stat("/proc/self/comm"); err == nil && locked.Command == "" {
		t.Error("the holder's command is not told")
	}
	for _, part := range []string{dir, fmt.Sprint(child.Process.Pid), "in use by"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
	if err := errors.Join(in.Close(), child.Wait()); err != nil {
		t.Error(err)
	}
	mustOpen(t, badgerstore.Config{Dir: dir})
}

func TestLockedErrorWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  badgerstore.LockedError
		want string
	}{
		{"all known", badgerstore.LockedError{Dir: "/d", PID: 7, Command: "caddy"}, `"/d" is in use by process 7 (caddy);`},
		{"no command", badgerstore.LockedError{Dir: "/d", PID: 7}, `"/d" is in use by process 7;`},
		{"nothing known", badgerstore.LockedError{Dir: "/d"}, `"/d" is in use by another process;`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.err.Error(); !strings.Contains(got, test.want) {
				t.Errorf("error is %q", got)
			}
		})
	}
}

// firstLine is a log handler that tells when something is logged.
type firstLine struct {
	slog.Handler
	logged chan string
}

func (h firstLine) Enabled(context.Context, slog.Level) bool { return true }

func (h firstLine) Handle(_ context.Context, record slog.Record) error {
	select {
	case h.logged <- record.Message:
	default:
	}
	return nil
}

func TestOpenWaitsForTheLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustOpen(t, badgerstore.Config{Dir: dir})
	if err := put(t.Context(), first, "a", "1"); err != nil {
		t.Fatal(err)
	}
	logged := make(chan string, 1)
	released := make(chan error, 1)
	go func() {
		<-logged // the second one found the directory held
		released <- first.Close()
	}()
	second := mustOpen(t, badgerstore.Config{
		Dir: dir, LockWait: time.Minute, Logger: slog.New(firstLine{slog.DiscardHandler, logged}),
	})
	if err := <-released; err != nil {
		t.Error(err)
	}
	if got := get(t, second, "a"); got != "1" {
		t.Errorf("the second handle sees %q", got)
	}
}

func TestWaitingForTheLockEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustOpen(t, badgerstore.Config{Dir: dir})
	var locked *badgerstore.LockedError
	config := badgerstore.Config{Dir: dir, Now: storagetest.NewClock().Now, LockWait: 20 * time.Millisecond}
	if _, err := badgerstore.Open(t.Context(), config); !errors.As(err, &locked) {
		t.Errorf("after the wait: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	logged := make(chan string, 1)
	go func() {
		<-logged
		cancel()
	}()
	config.LockWait, config.Logger = time.Hour, slog.New(firstLine{slog.DiscardHandler, logged})
	if _, err := badgerstore.Open(ctx, config); !errors.Is(err, context.Canceled) || !errors.As(err, &locked) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestALeftoverNoteIsNoLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/LOCK", []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, badgerstore.Config{Dir: dir})
}
