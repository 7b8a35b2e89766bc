// SPDX-License-Identifier: Apache-2.0

package hold_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

// TestAdmit: the caller is told what to wait for, and the repeated request passes once, with the bytes that were bound.
func TestAdmit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	passed, got := w.send(request(t.Context()), rule(t), caller())
	if passed != nil || got.Status != http.StatusUnauthorized || got.Code != "confirmation_required" || got.Number == "" || got.State != "pending" ||
		got.StatusURL != "https://api.example.com/_gatehouse/confirm/"+got.Operation || !got.Expires.After(w.Clock.Now()) {
		t.Fatalf("the first request: %+v", got)
	}
	if c := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `Bearer error="confirmation_required"`) || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the header is %v", got.Header)
	}
	if _, early := w.send(request(t.Context()), rule(t), caller(got.Operation)); early.Status != http.StatusUnauthorized || early.Operation != got.Operation {
		t.Errorf("before the answer: %+v", early)
	}
	w.Approve(got.Operation)
	if _, again := w.send(request(t.Context()), rule(t), caller()); again.Status != http.StatusUnauthorized || again.State != "approved" || again.Number != "" {
		t.Errorf("approved, and not named: %+v", again)
	}
	r := request(t.Context(), func(r *http.Request) {
		r.ContentLength, r.Body, r.TransferEncoding = -1, io.NopCloser(strings.NewReader(payment)), []string{"chunked"}
		r.Header.Set("Expect", "100-continue")
	})
	passed, _ = w.send(r, rule(t), caller(got.Operation))
	if passed == nil || passed.Operation.ID != got.Operation || !strings.HasPrefix(passed.Digest, "sha-256=:") {
		t.Fatalf("the request passes by %+v", passed)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || string(body) != payment || r.ContentLength != int64(len(payment)) || r.TransferEncoding != nil || r.Header.Get("Expect") != "" {
		t.Errorf("the upstream gets %q of %d, %v", body, r.ContentLength, err)
	}
	if passed, once := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed != nil || once.Status != http.StatusForbidden || once.Code != "confirmation_redeemed" {
		t.Errorf("once more: %+v", once)
	}
}

// TestRefusedAlike: whatever does not agree, the answer is the same.
func TestRefusedAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.send(request(t.Context()), rule(t), caller())
	w.Approve(got.Operation)
	var answers []string
	refuse := func(r *http.Request, rule *hold.Rule, c *hold.Caller) {
		t.Helper()
		recorder := httptest.NewRecorder()
		if w.holder.Admit(recorder, r, rule, c) != nil || recorder.Code != http.StatusForbidden {
			t.Errorf("it is %d %s", recorder.Code, recorder.Body)
		}
		answers = append(answers, recorder.Body.String())
	}
	other := func(change func(*hold.Caller)) *hold.Caller {
		c := caller(got.Operation)
		change(c)
		return c
	}
	refuse(request(t.Context()), rule(t), caller("op_x"))
	refuse(request(t.Context()), rule(t), other(func(c *hold.Caller) { c.UserID = "usr_2" }))
	refuse(request(t.Context()), rule(t), other(func(c *hold.Caller) { c.ClientID = "other" }))
	refuse(request(t.Context()), rule(t), other(func(c *hold.Caller) { c.Session = "session:2" }))
	refuse(request(t.Context()), rule(t), other(func(c *hold.Caller) { c.Asked += "&" }))
	refuse(request(t.Context()), rule(t, func(r *hold.Rule) { r.Name = "other" }), caller(got.Operation))
	refuse(request(t.Context(), func(r *http.Request) { r.Method = http.MethodPut }), rule(t), caller(got.Operation))
	refuse(request(t.Context(), func(r *http.Request) { r.URL.RawQuery = "b=2&a=1" }), rule(t), caller(got.Operation))
	refuse(request(t.Context(), func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }), rule(t), caller(got.Operation))
	refuse(request(t.Context(), func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(payment + " ")); r.ContentLength++ }), rule(t), caller(got.Operation))
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("%s and %s", answers[0], a)
		}
	}
	if passed, _ := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed == nil {
		t.Error("the approval was spent")
	}
}

// TestNotConfirmable: what cannot be bound or shown is refused before anybody is asked.
func TestNotConfirmable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
	}
	large := strings.Repeat("x", hold.DefaultBody+1)
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
		code   string
	}{
		{"upgrade", with("Upgrade", "websocket"), http.StatusBadRequest, "not_confirmable"},
		{"upgrade by Connection", with("Connection", "keep-alive, Upgrade"), http.StatusBadRequest, "not_confirmable"},
		{"tunnel", func(r *http.Request) { r.Method = http.MethodConnect }, http.StatusBadRequest, "not_confirmable"},
		{"trace", func(r *http.Request) { r.Method = http.MethodTrace }, http.StatusBadRequest, "not_confirmable"},
		{"events", with("Accept", "text/html, text/event-stream;q=0.5"), http.StatusBadRequest, "not_confirmable"},
		{"grpc", with("Content-Type", "application/grpc+proto"), http.StatusBadRequest, "not_confirmable"},
		{"another method", with("X-HTTP-Method-Override", "PUT"), http.StatusBadRequest, "not_confirmable"},
		{"another target", with("X-Original-URL", "/admin"), http.StatusBadRequest, "not_confirmable"},
		{"another method, in another spelling", with("X_HTTP_Method_Override", "PUT"), http.StatusBadRequest, "not_confirmable"},
		{"a field that goes with the connection", with("Connection", "keep-alive, Content-Type"), http.StatusBadRequest, "not_confirmable"},
		{"a field that is bound, in another spelling", with("Content_Type", "text/plain"), http.StatusBadRequest, "not_confirmable"},
		{"trailer", func(r *http.Request) { r.Trailer = http.Header{"X": nil} }, http.StatusBadRequest, "not_confirmable"},
		{"trailer at the end", func(r *http.Request) { r.Body = &trailing{strings.NewReader(payment), r} }, http.StatusBadRequest, "not_confirmable"},
		{"too large", body(large), http.StatusRequestEntityTooLarge, "body_too_large"},
		{"too large, in chunks", func(r *http.Request) { body(large)(r); r.ContentLength = -1 }, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"too large for the server", func(r *http.Request) { r.Body = io.NopCloser(broken{&http.MaxBytesError{Limit: 1}}) }, http.StatusRequestEntityTooLarge, "body_too_large"},
		{"cut off", func(r *http.Request) { r.Body = io.NopCloser(broken{io.ErrUnexpectedEOF}) }, http.StatusBadRequest, "body_incomplete"},
		{"no field", body(`{"amount":1}`), http.StatusUnprocessableEntity, "field_not_showable"},
		{"a field twice", body(`{"amount":1,"amount":2,"to":"Ann"}`), http.StatusUnprocessableEntity, "field_not_showable"},
	} {
		passed, got := w.send(request(t.Context(), test.change), rule(t), caller())
		if passed != nil || got.Status != test.status || got.Code != test.code {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	nobody := caller()
	nobody.UserID = ""
	if passed, got := w.send(request(t.Context()), rule(t), nobody); passed != nil || got.Status != http.StatusForbidden || got.Code != "user_required" {
		t.Errorf("no user: %+v", got)
	}
	without := caller()
	without.UserID = "usr_2"
	if passed, got := w.send(request(t.Context()), rule(t), without); passed != nil || got.Status != http.StatusForbidden || got.Code != "user_not_reachable" {
		t.Errorf("no phone: %+v", got)
	}
	if passed, got := w.send(request(t.Context()), rule(t), caller("op_x", "op_y")); passed != nil || got.Status != http.StatusBadRequest {
		t.Errorf("two operations: %+v", got)
	}
	standing, err := w.Operations.Standing(t.Context(), user)
	if err != nil || len(standing.Open) != 0 {
		t.Errorf("the user was asked: %+v, %v", standing, err)
	}
}

// trailing is a body with a trailer that nobody announced.
type trailing struct {
	io.Reader
	r *http.Request
}

func (b *trailing) Read(into []byte) (int, error) {
	n, err := b.Reader.Read(into)
	if errors.Is(err, io.EOF) {
		b.r.Trailer = http.Header{"X-Amount": {"1000"}}
	}
	return n, err
}

func (*trailing) Close() error { return nil }

// broken is a body that does not arrive.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// TestStoreDownBetween: between approval and redemption the store goes; nothing passes, the caller may come again, and then it does.
func TestStoreDownBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.send(request(t.Context()), rule(t), caller())
	w.Approve(got.Operation)
	for _, op := range []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit} {
		w.DB.Inject(storagetest.Fault{Op: op, Err: payer.ErrDown})
		if passed, down := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed != nil || down.Status != http.StatusServiceUnavailable || down.Header.Get("Retry-After") == "" {
			t.Errorf("down: %+v", down)
		}
		w.DB.Clear()
	}
	if passed, _ := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed == nil {
		t.Error("the approval is gone")
	}
}

// TestPhoneLockedBetween: an approval by a phone that is out meanwhile lets nothing pass.
func TestPhoneLockedBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.send(request(t.Context()), rule(t), caller())
	w.Approve(got.Operation)
	_, err := w.Handset.Lose(t.Context(), w.Phone, handset.Lost, "")
	must(t, err)
	if passed, refused := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed != nil || refused.Code != "confirmation_refused" {
		t.Errorf("it is %+v", refused)
	}
}

// TestOneTransaction: an approved request costs one transaction that writes, and none that reads.
func TestOneTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, got := w.send(request(t.Context()), rule(t), caller())
	w.Approve(got.Operation)
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Err: payer.ErrDown})
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: payer.ErrDown})
	if passed, refused := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed == nil {
		t.Errorf("it needs more: %+v", refused)
	}
}

// held has a request wait in a bubble, and returns what becomes of it.
func (w *world) held(ctx context.Context, r *hold.Rule, c *hold.Caller, change ...func(*http.Request)) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		passed, got := w.send(request(ctx, change...), r, c)
		done <- outcome{passed, got}
	}()
	synctest.Wait()
	return done
}

type outcome struct {
	passed *hold.Passed
	told   told
}

func prefer(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Prefer", value) }
}

// open returns the operation that the user is asked.
func (w *world) open() string {
	w.T.Helper()
	standing, err := w.Operations.Standing(w.T.Context(), user)
	must(w.T, err)
	if len(standing.Open) != 1 {
		w.T.Fatal("open are", standing.Open)
	}
	return standing.Open[0]
}

// bubbled is a world whose clock is that of a bubble.
func bubbled(t *testing.T, change ...func(*hold.Config)) *world {
	w := newWorld(t, append([]func(*hold.Config){func(c *hold.Config) { c.Now = time.Now }}, change...)...)
	return w
}

// TestHeld: a request waits for its answer, and passes, or is told why not; one that is approved when its token has ended does not.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
		done := w.held(t.Context(), waits, caller())
		w.Approve(w.open())
		if got := <-done; got.passed == nil {
			t.Errorf("approved: %+v", got.told)
		}
		done = w.held(t.Context(), rule(t), caller(), prefer("respond-async, wait=30"))
		must(t, w.Answer(w.open(), envelope.Deny))
		if got := <-done; got.passed != nil || got.told.Status != http.StatusForbidden || got.told.Code != "confirmation_denied" {
			t.Errorf("denied: %+v", got.told)
		}
		ended := caller()
		ended.Good = func() bool { return false }
		done = w.held(t.Context(), waits, ended)
		w.Approve(w.open())
		if got := <-done; got.passed != nil || got.told.Status != http.StatusUnauthorized || got.told.Code != "invalid_token" {
			t.Errorf("logged out: %+v", got.told)
		}
		if w.holder.Waiting() != 0 {
			t.Errorf("%d still wait", w.holder.Waiting())
		}
	})
}

// TestHeldEnds: with the time that it has, and with the caller; nothing stays behind, and what was asked can be answered still.
func TestHeldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		began := time.Now()
		passed, got := w.send(request(t.Context(), prefer(`wait="20"`)), rule(t), caller())
		if passed != nil || got.Status != http.StatusUnauthorized || time.Since(began) != 20*time.Second {
			t.Errorf("after %s: %+v", time.Since(began), got)
		}
		before := runtime.NumGoroutine()
		ctx, cancel := context.WithCancel(t.Context())
		done := w.held(ctx, rule(t), caller(), prefer("wait=60"))
		if w.holder.Waiting() != 1 {
			t.Errorf("%d wait", w.holder.Waiting())
		}
		cancel()
		if gone := <-done; gone.passed != nil {
			t.Error("it passes without its caller")
		}
		synctest.Wait()
		if w.holder.Waiting() != 0 || runtime.NumGoroutine() > before {
			t.Errorf("%d wait, %d goroutines where %d were", w.holder.Waiting(), runtime.NumGoroutine(), before)
		}
		w.Approve(got.Operation)
		if passed, _ := w.send(request(t.Context()), rule(t), caller(got.Operation)); passed == nil {
			t.Error("the approval is gone")
		}
	})
}

// TestTwoHeld: of two tabs with the same request one passes, and the other is told.
func TestTwoHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
		first, second := w.held(t.Context(), waits, caller()), w.held(t.Context(), waits, caller())
		w.Approve(w.open())
		a, b := <-first, <-second
		if (a.passed == nil) == (b.passed == nil) {
			t.Fatalf("they pass by %v and %v", a.passed, b.passed)
		}
		if a.passed != nil {
			a = b
		}
		if a.told.Code != "confirmation_redeemed" {
			t.Errorf("the other is told %+v", a.told)
		}
	})
}

// TestSeats: of very many callers so many wait as may, by number, client, user and bytes; the others are told when to come again.
func TestSeats(t *testing.T) {
	for name, seats := range map[string]hold.Seats{
		"all": {All: 2, User: 99}, "client": {Client: 2, User: 99}, "user": {User: 2}, "bytes": {Bytes: 2*len(payment) + 1, User: 99},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := bubbled(t, func(c *hold.Config) { c.Seats = seats })
				waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
				first, second := w.held(t.Context(), waits, caller()), w.held(t.Context(), waits, caller())
				for range 100 {
					passed, got := w.send(request(t.Context()), waits, caller())
					if passed != nil || got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || got.Operation == "" {
						t.Fatalf("one more: %+v", got)
					}
				}
				must(t, w.Answer(w.open(), envelope.Deny))
				<-first
				<-second
				if w.holder.Waiting() != 0 {
					t.Errorf("%d still wait", w.holder.Waiting())
				}
			})
		})
	}
}

// TestSeatsOfSite: those who wait in a browser take no seats from each other but by user: the site is everybody's client.
func TestSeatsOfSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t, func(c *hold.Config) { c.Seats = hold.Seats{Client: 1, User: 2} })
		waits := rule(t, func(r *hold.Rule) { r.Wait = time.Minute })
		cookie := func() *hold.Caller {
			c := caller()
			c.ByCookie = true
			return c
		}
		first, second := w.held(t.Context(), waits, cookie()), w.held(t.Context(), waits, cookie())
		if w.holder.Waiting() != 2 {
			t.Errorf("%d wait", w.holder.Waiting())
		}
		if passed, got := w.send(request(t.Context()), waits, cookie()); passed != nil || got.Status != http.StatusServiceUnavailable {
			t.Errorf("one more of the user: %+v", got)
		}
		must(t, w.Answer(w.open(), envelope.Deny))
		<-first
		<-second
		if w.holder.Waiting() != 0 {
			t.Errorf("%d still wait", w.holder.Waiting())
		}
	})
}

// TestEarlyHints: what has to be shown comes before the answer, and is no part of it.
func TestEarlyHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		hints := &hinted{ResponseRecorder: httptest.NewRecorder()}
		w.holder.Admit(hints, request(t.Context(), prefer("wait=1")), rule(t), caller())
		if hints.early.Get("Gatehouse-Number") == "" || hints.early.Get("Gatehouse-Operation") == "" || hints.Header().Get("Gatehouse-Number") != "" {
			t.Errorf("early: %v, then %v", hints.early, hints.Header())
		}
		old := &hinted{ResponseRecorder: httptest.NewRecorder()}
		w.holder.Admit(old, request(t.Context(), prefer("wait=1"), func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 1, 0 }), rule(t), caller())
		if old.early != nil {
			t.Errorf("HTTP/1.0 gets %v", old.early)
		}
	})
}

// hinted keeps what is said before an answer.
type hinted struct {
	*httptest.ResponseRecorder
	early http.Header
}

func (h *hinted) WriteHeader(status int) {
	if status == http.StatusEarlyHints {
		h.early = h.Header().Clone()
		return
	}
	h.ResponseRecorder.WriteHeader(status)
}

// TestPrefer reads RFC 7240, section 4.3.
func TestPrefer(t *testing.T) {
	for _, test := range []struct {
		value string
		want  time.Duration
	}{
		{"wait=1", time.Second}, {"WAIT = 2 ; x=y", 2 * time.Second}, {`handling=lenient, wait="3"`, 3 * time.Second}, {"wait=0", 0}, {"wait=x", 0},
		{"wait=-1", 0}, {"wait", 0}, {"waiter=5", 0}, {"wait=99999999999", 0}, {"wait=600", hold.MaxPrefer}, {"wait=1, wait=30", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := bubbled(t)
			began := time.Now()
			w.send(request(t.Context(), prefer(test.value)), rule(t), caller())
			if took := time.Since(began); took != test.want {
				t.Errorf("%q waits %s", test.value, took)
			}
		})
	}
}

// TestStatus: the owner is told how it stands, waits for it, and takes it back; nobody else is told anything.
func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := bubbled(t)
		_, asked := w.send(request(t.Context()), rule(t), caller())
		status := func(method string, c *hold.Caller, id string, change ...func(*http.Request)) (int, string) {
			recorder := httptest.NewRecorder()
			w.holder.ServeStatus(recorder, request(t.Context(), append(change, func(r *http.Request) { r.Method = method })...), id, c)
			return recorder.Code, recorder.Body.String()
		}
		if code, body := status(http.MethodGet, caller(), asked.Operation); code != http.StatusOK || !strings.Contains(body, `"state":"pending"`) || !strings.Contains(body, asked.Number) {
			t.Errorf("%d %s", code, body)
		}
		other := caller()
		other.UserID = "usr_2"
		for _, id := range []string{asked.Operation, "op_x"} {
			if code, _ := status(http.MethodGet, other, id); code != http.StatusNotFound {
				t.Errorf("somebody else is told %d", code)
			}
		}
		if code, _ := status(http.MethodPost, caller(), asked.Operation); code != http.StatusMethodNotAllowed {
			t.Errorf("POST is %d", code)
		}
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { w.Approve(asked.Operation) })
		if code, body := status(http.MethodGet, caller(), asked.Operation, prefer("wait=30")); code != http.StatusOK || !strings.Contains(body, `"approved"`) || strings.Contains(body, `"number"`) {
			t.Errorf("%d %s", code, body)
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("after %s", took)
		}
		if code, body := status(http.MethodDelete, caller(), asked.Operation); code != http.StatusOK || !strings.Contains(body, `"cancelled"`) {
			t.Errorf("taking back what was approved: %d %s", code, body)
		}
		if passed, got := w.send(request(t.Context()), rule(t), caller(asked.Operation)); passed != nil || got.Code != "confirmation_cancelled" {
			t.Errorf("passing by what was taken back: %v, %+v", passed, got)
		}
		_, second := w.send(request(t.Context(), func(r *http.Request) { r.Method = http.MethodPut }), rule(t), caller())
		if code, body := status(http.MethodDelete, caller(), second.Operation); code != http.StatusOK || !strings.Contains(body, `"cancelled"`) {
			t.Errorf("taking it back: %d %s", code, body)
		}
		w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Err: payer.ErrDown})
		if code, body := status(http.MethodGet, caller(), asked.Operation); code != http.StatusServiceUnavailable || strings.Contains(body, payer.ErrDown.Error()) {
			t.Errorf("down: %d %s", code, body)
		}
	})
}

// TestMissingParts: nothing is built without what it needs.
func TestMissingParts(t *testing.T) {
	t.Parallel()
	if _, err := hold.New(hold.Config{}); err == nil {
		t.Error("it is built of nothing")
	}
	if id, ok := hold.ID("/_gatehouse/confirm/op_1", "/_gatehouse/confirm/"); !ok || id != "op_1" {
		t.Errorf("the id is %q", id)
	}
	for _, path := range []string{"/_gatehouse/confirm/", "/_gatehouse/confirm/a/b", "/other"} {
		if id, ok := hold.ID(path, "/_gatehouse/confirm/"); ok {
			t.Errorf("%q has the id %q", path, id)
		}
	}
}

// BenchmarkRedeem is what an approved request costs beside its upstream.
func BenchmarkRedeem(b *testing.B) {
	b.ReportAllocs()
	w := newWorld(b)
	body := []byte(payment)
	for b.Loop() {
		b.StopTimer()
		_, got := w.send(request(b.Context()), rule(b), caller())
		w.Approve(got.Operation)
		r := request(b.Context(), func(r *http.Request) { r.Body = io.NopCloser(bytes.NewReader(body)) })
		asks, c, recorder := rule(b), caller(got.Operation), httptest.NewRecorder()
		b.StartTimer()
		if w.holder.Admit(recorder, r, asks, c) == nil {
			b.Fatal(recorder.Body)
		}
	}
}
