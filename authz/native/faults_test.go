// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

const mark = "MARK-of-the-inside"

// passage is a call in the middle of things, and what it leads to when nothing is wrong.
type passage struct {
	name    string
	prepare func(a *faces.App)
	call    func(a *faces.App) *faces.Reply
	good    func(r *faces.Reply)
}

func passages() []passage {
	return []passage{
		{"beginning", func(*faces.App) {}, func(a *faces.App) *faces.Reply { return a.Ask() }, func(r *faces.Reply) { r.Asks("password") }},
		{"beginning anew", func(a *faces.App) { a.SignIn(faces.AliceLogin) },
			func(a *faces.App) *faces.Reply { return a.Ask("scope", "payments:write") }, func(r *faces.Reply) { r.Asks("pin") }},
		{"the code at once", func(a *faces.App) { a.SignIn(faces.AliceLogin) },
			func(a *faces.App) *faces.Reply { return a.Ask() }, func(r *faces.Reply) { r.Granted() }},
		{"the first answer", func(a *faces.App) { a.Ask("scope", "payments:write") },
			func(a *faces.App) *faces.Reply { return a.Answer(alice) }, func(r *faces.Reply) { r.Asks("pin") }},
		{"the last answer", func(a *faces.App) { a.Ask("scope", "payments:write"); a.Answer(alice) },
			func(a *faces.App) *faces.Reply { return a.Answer(pin(faces.PIN)) }, func(r *faces.Reply) { r.Granted() }},
		{"a wrong answer", func(a *faces.App) { a.Ask() },
			func(a *faces.App) *faces.Reply { return a.Answer(faces.ByPassword("alice", "wrong")) }, func(r *faces.Reply) { r.Asks("password") }},
		{"an answer with a question after it", func(a *faces.App) { a.Ask("scope", "riddle-first") },
			func(a *faces.App) *faces.Reply { return a.Answer(answer("grail")) }, func(r *faces.Reply) { r.Asks("riddle") }},
		{"an answer before anybody is known", func(a *faces.App) { a.Ask("scope", "riddle-first"); a.Answer(answer("grail")) },
			func(a *faces.App) *faces.Reply { return a.Answer(answer("blue")) }, func(r *faces.Reply) { r.Asks("password") }},
		{"an answer without a client", func(a *faces.App) { a.Ask() },
			func(a *faces.App) *faces.Reply { return a.Answer(alice, "client_id", "") }, func(r *faces.Reply) { r.Granted() }},
	}
}

// Each use that a call makes of the store fails once. The app is told to come back, learns nothing of what went wrong, and
// gets nothing that was not stored; nobody is signed in who has not proven what is asked.
func TestTheStoreFails(t *testing.T) {
	t.Parallel()
	for _, p := range passages() {
		for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply} {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				struck := 0
				for nth := 1; ; nth++ {
					w := newWorld(t)
					a := w.App(t)
					p.prepare(a)
					before := a.Held
					cause := errors.Join(storage.ErrClosed, errors.New(mark))
					w.DB.Inject(storagetest.Fault{Op: op, Nth: nth, Err: cause})
					reply := p.call(a)
					w.DB.Clear()
					if strings.Contains(reply.Body, mark) {
						t.Errorf("the app is told what went wrong inside:\n%s", reply.Body)
					}
					if reply.Status < http.StatusInternalServerError && !failed(reply) {
						p.good(reply) // it used the store less often than that
						if struck == 0 && op == storagetest.OnView {
							t.Error("the call does not read anything")
						}
						return
					}
					struck++
					if !failed(reply) {
						reply.Refuses(http.StatusServiceUnavailable, "temporarily_unavailable")
						if reply.Header.Get("Retry-After") == "" {
							t.Error("the app is not told when to come back")
						}
					}
					a.Held = before
					again(t, w, a, p)
				}
			})
		}
	}
}

// failed reports whether a realm could not be judged: it says so, and the reply is an ordinary one.
func failed(r *faces.Reply) bool {
	for _, asked := range r.Challenges {
		if asked.Failure != nil && asked.Failure.Code == "unavailable" {
			return true
		}
	}
	return false
}

// again lets the app try once more with what it held. What was stored although nobody was told is spent: then it begins from
// the start.
func again(t *testing.T, w *faces.World, a *faces.App, p passage) {
	t.Helper()
	reply := p.call(a)
	if reply.Error == "invalid_session" || reply.Error == "invalid_request" {
		a = w.App(t)
		p.prepare(a)
		reply = p.call(a)
	}
	p.good(reply)
}

// A judgement that cannot be put on the trail is none: a refusal is not told, and a proof is not stored.
func TestTheTrailFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.App(t)
	a.Ask("scope", "payments:write")
	w.Trail.Fail(fmt.Errorf("%s: %w", mark, storage.ErrUnavailable))
	wrong := a.Answer(faces.ByPassword(faces.AliceLogin, "wrong")).Asks("password")
	wantFailure(t, wrong, "password", "unavailable")
	right := a.Answer(alice)
	right.Refuses(http.StatusServiceUnavailable, "temporarily_unavailable")
	for _, reply := range []string{wrong.Body, right.Body} {
		if strings.Contains(reply, mark) {
			t.Errorf("the app is told what went wrong inside:\n%s", reply)
		}
	}
	wantProven(t, w, faces.Alice)
	w.Trail.Fail(nil)
	a.Answer(alice).Asks("pin")
	if !strings.Contains(w.Log.String(), mark) {
		t.Error("the operator is not told")
	}
}
