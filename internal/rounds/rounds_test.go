// SPDX-License-Identifier: Apache-2.0

package rounds_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/rounds"
)

// logger writes level, message and attributes of each line, without the time.
func logger(to *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

var errDown, errClosed = errors.New("down"), errors.New("closed")

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithCancel(t.Context())
		answers := []error{nil, errDown, errDown, nil, nil, errDown, fmt.Errorf("once more: %w", errDown), nil}
		rounds.Run(ctx, time.Minute, rounds.Trouble{Logger: logger(&log), Begins: "it fails", Ends: "it works again"},
			func(given context.Context) error {
				if given != ctx {
					t.Error("the round has another context")
				}
				at = append(at, time.Since(began))
				if len(at) == len(answers) {
					cancel()
				}
				return answers[len(at)-1]
			})
		for i, took := range at {
			if want := time.Duration(i+1) * time.Minute; took != want {
				t.Errorf("round %d came after %s, want %s", i, took, want)
			}
		}
		// The context ends within the last round: that it works again is said by nobody any more.
		want := []string{
			`level=WARN msg="it fails" cause=down`, `level=INFO msg="it works again"`, `level=WARN msg="it fails" cause=down`,
		}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(log.String()), "\n")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rounds.Run(ctx, time.Hour, rounds.Trouble{}, func(context.Context) error { return errDown })
}

func TestTheEndIsNoTrouble(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
	}{
		{"the context", ended, errDown},
		{"the store", t.Context(), fmt.Errorf("reading: %w", errClosed)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			trouble := rounds.Trouble{Logger: logger(&log), Begins: "it fails", Ends: "it works again", Over: errClosed}
			trouble.Note(test.ctx, test.err)
			trouble.Note(t.Context(), nil)
			if log.Len() > 0 {
				t.Errorf("it was logged: %s", log.String())
			}
		})
	}
}

// TestPace: who asks is served at once, not more often than the floor allows, and nothing that is asked for is forgotten.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, woken := time.Now(), make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		for _, at := range []time.Duration{50, 300, 301, 302, 310, 700, 1005} {
			time.AfterFunc(at*time.Millisecond, func() {
				select {
				case woken <- struct{}{}:
				default:
				}
			})
		}
		time.AfterFunc(1500*time.Millisecond, cancel)
		var at []time.Duration
		rounds.Pace{Every: time.Second, Woken: woken, Floor: 20 * time.Millisecond}.Run(ctx, rounds.Trouble{}, func(context.Context) error {
			at = append(at, time.Since(began)/time.Millisecond)
			return nil
		})
		if diff := cmp.Diff([]time.Duration{50, 300, 320, 700, 1000, 1020}, at); diff != "" {
			t.Error(diff)
		}
	})
}
