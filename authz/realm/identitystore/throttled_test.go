// SPDX-License-Identifier: Apache-2.0

package identitystore_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// tally is counters that answer what they are told and record what they were asked.
type tally struct {
	entry            identity.Entry
	enters, settles  error
	guesses          []identity.Guess
	settled          []bool
	settledAfterward bool
}

func (y *tally) Enter(_ context.Context, g identity.Guess) (identity.Entry, error) {
	y.guesses = append(y.guesses, g)
	return y.entry, y.enters
}

func (y *tally) Settle(ctx context.Context, _ identity.Entry, right bool) error {
	y.settled = append(y.settled, right)
	y.settledAfterward = ctx.Err() == nil
	return y.settles
}

// judges is a login module that judges as it is told and counts how often.
type judges struct {
	result realm.Result
	err    error
	asked  int
}

func (j *judges) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	j.asked++
	return j.result, j.err
}

// nobody stands for the empty name.
const nobody = "-"

func TestThrottled(t *testing.T) {
	t.Parallel()
	broken := errors.New("the directory is down")
	accepted := realm.Result{Status: realm.Accepted, Identity: realm.Identity{ExternalID: "7"}}
	for _, tt := range []struct {
		name    string
		tally   tally
		judges  judges
		values  map[string]string
		subject string
		guessed string // alice when empty
		want    realm.Result
		err     error
		asked   int
		settled []bool
	}{
		{name: "right", judges: judges{result: accepted}, want: accepted, asked: 1, settled: []bool{true}},
		{name: "wrong", judges: judges{result: realm.Result{Status: realm.Refused}}, want: realm.Result{Status: realm.Refused}, asked: 1},
		{name: "throttled there", judges: judges{result: realm.Result{Status: realm.Throttled}}, want: realm.Result{Status: realm.Throttled}, asked: 1},
		{name: "busy", judges: judges{result: realm.Result{Status: realm.Busy}}, want: realm.Result{Status: realm.Busy}, asked: 1, settled: []bool{false}},
		{name: "not judged", judges: judges{err: broken}, err: broken, asked: 1, settled: []bool{false}},
		{name: "too early", tally: tally{entry: identity.Entry{RetryAfter: time.Minute, Reason: "r"}}, judges: judges{result: accepted},
			want: realm.Result{Status: realm.Throttled, RetryAfter: time.Minute, Reason: "r"}},
		{name: "not counted", tally: tally{enters: broken}, judges: judges{result: accepted}, err: broken},
		{name: "not settled", tally: tally{settles: broken}, judges: judges{result: accepted}, err: broken, asked: 1, settled: []bool{true}},
		{name: "no name", judges: judges{result: realm.Result{Status: realm.Refused}}, values: map[string]string{"pin": "1"},
			guessed: nobody, want: realm.Result{Status: realm.Refused}, asked: 1},
		{name: "an empty name", judges: judges{result: realm.Result{Status: realm.Refused}}, values: map[string]string{"user": ""},
			guessed: nobody, want: realm.Result{Status: realm.Refused}, asked: 1},
		{name: "no name of somebody known", judges: judges{result: accepted}, values: map[string]string{"pin": "1"}, subject: "usr_7",
			guessed: "usr_7", want: accepted, asked: 1, settled: []bool{true}},
		{name: "another name of somebody known", judges: judges{result: accepted}, subject: "usr_7", want: accepted, asked: 1, settled: []bool{true}},
		{name: "no name, too early", tally: tally{entry: identity.Entry{RetryAfter: time.Minute, Reason: "r"}}, judges: judges{result: accepted},
			values: map[string]string{"pin": "1"}, guessed: nobody,
			want: realm.Result{Status: realm.Throttled, RetryAfter: time.Minute, Reason: "r"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			values := tt.values
			if values == nil {
				values = map[string]string{"user": "alice"}
			}
			module := &identitystore.Throttled{Module: &tt.judges, Counters: &tt.tally, People: "corporate", Field: "user"}
			got, err := module.Verify(t.Context(), realm.Credentials{Values: values, ClientIP: "192.0.2.1", Subject: tt.subject})
			if !errors.Is(err, tt.err) {
				t.Fatalf("Verify = %+v, %v, want %v", got, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.settled, tt.tally.settled); diff != "" || tt.judges.asked != tt.asked {
				t.Errorf("asked %d times, want %d; settled (-want +got):\n%s", tt.judges.asked, tt.asked, diff)
			}
			guessed := stdcmp.Or(tt.guessed, "alice")
			if guessed == nobody {
				guessed = ""
			}
			want := []identity.Guess{{People: "corporate", Login: guessed, ClientIP: "192.0.2.1"}}
			if diff := cmp.Diff(want, tt.tally.guesses); diff != "" {
				t.Errorf("guesses (-want +got):\n%s", diff)
			}
		})
	}
}

// A directory that is too slow leaves no count behind that nobody earned. Whoever hangs up does: the guess may have been judged.
func TestThrottledWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		settled []bool
	}{{"too slow", late, []bool{false}}, {"hung up", gone, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			y := new(tally)
			module := &identitystore.Throttled{Module: &judges{err: tt.ctx.Err()}, Counters: y, Field: "user"}
			if _, err := module.Verify(tt.ctx, realm.Credentials{Values: map[string]string{"user": "alice"}}); !errors.Is(err, tt.ctx.Err()) {
				t.Errorf("Verify = %v", err)
			}
			if diff := cmp.Diff(tt.settled, y.settled); diff != "" {
				t.Errorf("settled (-want +got):\n%s", diff)
			}
			if tt.settled != nil && !y.settledAfterward {
				t.Error("the count was mended with a context that had ended")
			}
		})
	}
}
