// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// Hashes made elsewhere: by the reference implementation (argon2 -id, of "password" with salt "somesalt") and by a bcrypt
// implementation of another language (of "U*U").
const (
	argonPassword = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argonParallel = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
	bcryptUstarU  = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	bcryptUYstarU = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
)

func b64(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }

// cheap keeps tests quick: a hash of it takes some 20 µs.
var cheap = identity.Params{Memory: 8, Time: 1, Threads: 1}

func newHasher(t testing.TB, c identity.HasherConfig) *identity.Hasher {
	t.Helper()
	if c.Params == (identity.Params{}) {
		c.Params = cheap
	}
	h, err := identity.NewHasher(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{})
	for _, password := range []string{"correct horse", "pässwörd", "密码密码密码", " spaces ", strings.Repeat("x", 1024), "\x00"} {
		hash, err := h.Hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") || strings.Contains(hash, password) {
			t.Errorf("Hash(%q) = %q", password, hash)
		}
		for _, tc := range []struct {
			password string
			want     bool
		}{
			{password, true}, {password + "x", false}, {"", false}, {strings.ToUpper(password) + "X", false},
		} {
			if ok, err := h.Verify(t.Context(), hash, tc.password); ok != tc.want || err != nil {
				t.Errorf("Verify(hash of %q, %q) = %v, %v", password, tc.password, ok, err)
			}
		}
		if again, err := h.Hash(t.Context(), password); err != nil || again == hash {
			t.Errorf("two hashes of %q are the same: no salt (%v)", password, err)
		}
		if h.NeedsRehash(hash) {
			t.Errorf("a fresh hash needs another")
		}
	}
}

// TestPasswordsAreNormalised (NIST SP 800-63B-4, 3.1.1.2): two keyboards, one password.
func TestPasswordsAreNormalised(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{})
	hash, err := h.Hash(t.Context(), "cafe\u0301 cre\u0300me")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		password string
		want     bool
	}{{"caf\u00e9 cr\u00e8me", true}, {"cafe\u0301 cr\u00e8me", true}, {"cafe creme", false}, {"CAF\u00c9 CR\u00c8ME", false}} {
		if ok, err := h.Verify(t.Context(), hash, tc.password); ok != tc.want || err != nil {
			t.Errorf("Verify(%+q) = %v, %v", tc.password, ok, err)
		}
	}
}

func TestVerifyForeignHashes(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{})
	for _, tc := range []struct {
		name, hash, password string
		want                 bool
	}{
		{"reference argon2id", argonPassword, "password", true},
		{"reference argon2id, wrong", argonPassword, "passwore", false},
		{"reference argon2id, two threads", argonParallel, "password", true},
		{"bcrypt", bcryptUstarU, "U*U", true},
		{"bcrypt, wrong", bcryptUstarU, "U*V", false},
		{"bcrypt 2y", bcryptUYstarU, "U*U", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if ok, err := h.Verify(t.Context(), tc.hash, tc.password); ok != tc.want || err != nil {
				t.Errorf("Verify = %v, %v; want %v", ok, err, tc.want)
			}
			if !h.NeedsRehash(tc.hash) {
				t.Error("a foreign hash does not need another")
			}
		})
	}
	if ok, err := h.Verify(t.Context(), "$argon2id$broken", "password"); ok || !errors.Is(err, identity.ErrHash) {
		t.Errorf("Verify of a broken hash = %v, %v", ok, err)
	}
}

// TestVerifyNothing: the stand-in for an absent hash does one hash of work and matches nothing.
func TestVerifyNothing(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{})
	for i, password := range []string{"", "password", "\x00"} {
		if ok, err := h.Verify(t.Context(), "", password); ok || err != nil {
			t.Errorf("Verify of no hash = %v, %v", ok, err)
		}
		if got := h.Stats().Runs; got != uint64(i+1) {
			t.Errorf("after %d checks %d hashes were computed", i+1, got)
		}
	}
	// Even a key that happened to match would not.
	h.MatchAll()
	if ok, err := h.Verify(t.Context(), "", "password"); ok || err != nil {
		t.Errorf("Verify of no hash = %v, %v", ok, err)
	}
}

func TestNeedsRehash(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{Params: identity.Params{Memory: 64, Time: 2, Threads: 1}})
	for _, tc := range []struct {
		name, hash string
		want       bool
	}{
		{"same", "$argon2id$v=19$m=64,t=2,p=1$" + b64(16) + "$" + b64(32), false},
		{"longer salt and key", "$argon2id$v=19$m=64,t=2,p=1$" + b64(32) + "$" + b64(64), false},
		{"less memory", "$argon2id$v=19$m=32,t=2,p=1$" + b64(16) + "$" + b64(32), true},
		{"more memory", "$argon2id$v=19$m=128,t=2,p=1$" + b64(16) + "$" + b64(32), true},
		{"fewer passes", "$argon2id$v=19$m=64,t=1,p=1$" + b64(16) + "$" + b64(32), true},
		{"more threads", "$argon2id$v=19$m=64,t=2,p=2$" + b64(16) + "$" + b64(32), true},
		{"short salt", "$argon2id$v=19$m=64,t=2,p=1$" + b64(15) + "$" + b64(32), true},
		{"short key", "$argon2id$v=19$m=64,t=2,p=1$" + b64(16) + "$" + b64(31), true},
		{"bcrypt", bcryptUstarU, true},
		{"broken", "?", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := h.NeedsRehash(tc.hash); got != tc.want {
				t.Errorf("NeedsRehash(%q) = %v", tc.hash, got)
			}
		})
	}
}

func TestHasherDefaults(t *testing.T) {
	t.Parallel()
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if h.NeedsRehash("$argon2id$v=19$m=19456,t=2,p=1$" + b64(16) + "$" + b64(32)) {
		t.Error("the default is not m=19456, t=2, p=1")
	}
	places := 33 * runtime.GOMAXPROCS(0)
	for range places {
		defer h.Occupy(false)()
	}
	if _, err := h.Hash(t.Context(), "password"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("with %d places taken: %v, want ErrBusy", places, err)
	}
	for _, bad := range []identity.Params{{Memory: 1 << 30, Time: 1, Threads: 1}, {Memory: 64}} {
		if _, err := identity.NewHasher(identity.HasherConfig{Params: bad}); !errors.Is(err, identity.ErrHash) {
			t.Errorf("NewHasher(%+v): %v, want ErrHash", bad, err)
		}
	}
}

func TestFullQueueIsBusyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{Concurrent: 1, Queue: 2})
	hash, err := h.Hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	running, first, second := h.Occupy(true), h.Occupy(false), h.Occupy(false)
	if diff := cmp.Diff(identity.Stats{InFlight: 1, Queued: 2, Runs: 2}, h.Stats()); diff != "" {
		t.Errorf("full queue (-want +got):\n%s", diff)
	}
	if _, err := h.Hash(t.Context(), "password"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("Hash: %v, want ErrBusy", err)
	}
	if ok, err := h.Verify(t.Context(), hash, "password"); ok || !errors.Is(err, identity.ErrBusy) {
		t.Errorf("Verify = %v, %v; want ErrBusy", ok, err)
	}
	first()
	second()
	running()
	if ok, err := h.Verify(t.Context(), hash, "password"); !ok || err != nil {
		t.Errorf("Verify after the queue emptied = %v, %v", ok, err)
	}
	if diff := cmp.Diff(identity.Stats{Runs: 3, Busy: 2}, h.Stats()); diff != "" {
		t.Errorf("empty queue (-want +got):\n%s", diff)
	}
}

func TestNoQueueAtAll(t *testing.T) {
	t.Parallel()
	h := newHasher(t, identity.HasherConfig{Concurrent: 1, Queue: -1})
	release := h.Occupy(true)
	if _, err := h.Hash(t.Context(), "password"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("Hash beside one that runs: %v, want ErrBusy", err)
	}
	release()
	if _, err := h.Hash(t.Context(), "password"); err != nil {
		t.Errorf("Hash alone: %v", err)
	}
}

func TestQueuedHashHonoursContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, identity.HasherConfig{Concurrent: 1, Queue: 5})
		running := h.Occupy(true)
		cause := errors.New("client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error)
		go func() {
			_, err := h.Hash(ctx, "password")
			result <- err
		}()
		synctest.Wait()
		if got := h.Stats(); got.Queued != 1 {
			t.Errorf("queued: %+v", got)
		}
		cancel(cause)
		if err := <-result; !errors.Is(err, cause) {
			t.Errorf("queued hash after cancellation: %v", err)
		}
		deadline, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := h.Verify(deadline, argonPassword, "password"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("queued check after the deadline: %v", err)
		}
		running()
		if diff := cmp.Diff(identity.Stats{Runs: 1}, h.Stats()); diff != "" {
			t.Errorf("a cancelled hash was computed or kept its place (-want +got):\n%s", diff)
		}
		for range 20 { // a free slot and a cancelled context: not a matter of chance
			if _, err := h.Hash(ctx, "password"); !errors.Is(err, cause) {
				t.Errorf("hash with a cancelled context on a free slot: %v", err)
			}
		}
	})
}

// TestConcurrencyIsBounded counts, inside the hashes themselves, how many run at once.
func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	const bound, calls = 3, 60
	h := newHasher(t, identity.HasherConfig{Concurrent: bound, Queue: calls})
	var now, most atomic.Int64
	h.During(func() {
		n := now.Add(1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		runtime.Gosched()
		now.Add(-1)
	})
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			if _, err := h.Hash(t.Context(), "password"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := most.Load(); got > bound || got == 0 {
		t.Errorf("%d hashes at once, want 1 to %d", got, bound)
	}
	if diff := cmp.Diff(identity.Stats{Runs: calls}, h.Stats()); diff != "" {
		t.Errorf("afterwards (-want +got):\n%s", diff)
	}
}

func BenchmarkHash(b *testing.B) {
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}
