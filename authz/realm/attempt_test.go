// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// guests puts an authenticator and a login module into the realm of the given name.
func guests(t testing.TB, name string, a realm.Authenticator, m realm.LoginModule) *realm.Engine {
	t.Helper()
	config := standard()
	for _, r := range config.Realms {
		if r.Name == name {
			r.Authenticator, r.LoginModule = a, m
		}
	}
	return newEngine(t, config)
}

func answers(result realm.Result, err error) verify {
	return func(context.Context, realm.Credentials) (realm.Result, error) { return result, err }
}

func TestTryPassesOnWhatIsPresented(t *testing.T) {
	t.Parallel()
	in := realm.Input{
		Fields: map[string]string{"username": "alice"}, Headers: map[string][]string{"X-Test": {"1"}}, ClientIP: "192.0.2.1",
		Subject: alice, Hint: "al", State: []byte("s"), Locale: "nl",
	}
	credentials := realm.Credentials{Values: map[string]string{"k": "v"}, ClientIP: "192.0.2.1", Subject: alice}
	var collected realm.Input
	var verified realm.Credentials
	engine := guests(t, "phone",
		collect(func(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
			collected = in
			return credentials, nil, nil
		}),
		verify(func(_ context.Context, c realm.Credentials) (realm.Result, error) {
			verified = c
			return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice, Device: "dev_1"}, Account: alice}, nil
		}))
	got, err := engine.Try(t.Context(), "phone", in)
	if err != nil {
		t.Fatal(err)
	}
	want := realm.Attempt{Result: realm.Result{
		Status: realm.Accepted, Identity: realm.Identity{Subject: alice, Device: "dev_1"}, Account: alice,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
	in.Realm = "phone"
	if diff := cmp.Diff(in, collected); diff != "" {
		t.Errorf("input of the authenticator (-want +got):\n%s", diff)
	}
	credentials.Realm, credentials.Locale = "phone", "nl" // the engine knows, whatever an authenticator leaves out
	if diff := cmp.Diff(credentials, verified); diff != "" {
		t.Errorf("credentials of the login module (-want +got):\n%s", diff)
	}
}

// byLogin is a login module that finds users by their login name.
type byLogin struct {
	verify
	needs bool
}

func (m byLogin) NeedsLogin() bool { return m.needs }

func TestModulesSayThatTheyNeedTheLogin(t *testing.T) {
	t.Parallel()
	accepted := accepts(realm.Identity{Subject: alice})
	for _, tt := range []struct {
		name   string
		module realm.LoginModule
		said   bool // by the caller, who has no say in it
		want   bool
	}{
		{"needs it", byLogin{accepted, true}, false, true},
		{"does not", byLogin{accepted, false}, true, false},
		{"says nothing", accepted, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var collected realm.Input
			engine := guests(t, "password", collect(
				func(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
					collected = in
					return realm.Credentials{}, nil, nil
				}), tt.module)
			if _, err := engine.Try(t.Context(), "password", realm.Input{Subject: alice, NeedsLogin: tt.said}); err != nil {
				t.Fatal(err)
			}
			equal(t, "what the authenticator is told", collected.NeedsLogin, tt.want)
		})
	}
}

func TestAChallengeIsNotJudged(t *testing.T) {
	t.Parallel()
	challenge := &realm.Challenge{Fields: []realm.Field{{Name: "code"}}, State: []byte("s")}
	engine := guests(t, "password",
		collect(func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
			return realm.Credentials{Subject: alice}, challenge, nil
		}),
		verify(func(context.Context, realm.Credentials) (realm.Result, error) {
			t.Error("something is missing, and the login module is asked")
			return realm.Result{}, nil
		}))
	got, err := engine.Try(t.Context(), "password", realm.Input{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(realm.Attempt{Challenge: challenge}, got); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
}

// An authenticator that judges by itself may say no, and nobody is asked any more; it cannot say yes that way.
func TestARefusalOfTheAuthenticator(t *testing.T) {
	t.Parallel()
	notice := &realm.Notice{Text: "Closed until nine."}
	for _, tt := range []struct {
		name    string
		refusal realm.Refusal
		want    realm.Result
	}{
		{"nothing said", realm.Refusal{}, realm.Result{Status: realm.Refused}},
		{"a reason and a notice", realm.Refusal{Reason: "closed", Notice: notice},
			realm.Result{Status: realm.Refused, Reason: "closed", Notice: notice}},
		{"for a while", realm.Refusal{Reason: "many", RetryAfter: time.Minute, Notice: notice},
			realm.Result{Status: realm.Throttled, Reason: "many", RetryAfter: time.Minute, Notice: notice}},
		{"for less than no time", realm.Refusal{RetryAfter: -time.Minute}, realm.Result{Status: realm.Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine := guests(t, "password",
				collect(func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
					return realm.Credentials{Refusal: &tt.refusal, Identity: &realm.Identity{Subject: alice}, Subject: alice}, nil, nil
				}),
				verify(func(context.Context, realm.Credentials) (realm.Result, error) {
					t.Error("the login module is asked")
					return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}, nil
				}))
			got, err := engine.Try(t.Context(), "password", realm.Input{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(realm.Attempt{Result: tt.want}, got); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTryJudges(t *testing.T) {
	t.Parallel()
	accepted := func(subject string) realm.Result {
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: subject}}
	}
	tests := []struct {
		name, realm, subject string
		result, want         realm.Result
	}{
		{"an identity", "password", "", accepted(alice), accepted(alice)},
		{"another identity than the one known: a new login", "password", bob, accepted(alice), accepted(alice)},
		{"an identity without a subject", "password", "", accepted(""), realm.Result{Status: realm.Refused, Reason: "no_subject"}},
		{"an identity without a subject, somebody being known", "card", alice, accepted(""), realm.Result{Status: realm.Refused, Reason: "no_subject"}},
		{"a proof of the user", "phone", alice, accepted(alice), accepted(alice)},
		{"a proof of nobody", "app", alice, accepted(""), accepted("")},
		{"a proof of nobody, nobody being known", "app", "", accepted(""), accepted("")},
		{"a proof of another user", "phone", alice, accepted(bob), realm.Result{Status: realm.Refused, Reason: "another_user", Account: bob}},
		{"a proof of a user, nobody being known", "phone", "", accepted(bob), realm.Result{Status: realm.Refused, Reason: "another_user", Account: bob}},
		{"a proof of a user in another case", "phone", alice, accepted("USR_ALICE"), realm.Result{Status: realm.Refused, Reason: "another_user", Account: "USR_ALICE"}},
		{
			"a refusal", "password", "", realm.Result{Status: realm.Refused, Reason: "wrong_password", Account: alice},
			realm.Result{Status: realm.Refused, Reason: "wrong_password", Account: alice},
		},
		{
			"a refusal that names somebody", "phone", alice,
			realm.Result{Status: realm.Refused, Identity: realm.Identity{Subject: alice}, Reason: "locked", RetryAfter: time.Hour},
			realm.Result{Status: realm.Refused, Reason: "locked"},
		},
		{
			"throttled", "password", "",
			realm.Result{Status: realm.Throttled, Identity: realm.Identity{Subject: alice}, RetryAfter: time.Minute, Reason: "r", Account: alice},
			realm.Result{Status: realm.Throttled, RetryAfter: time.Minute, Reason: "r", Account: alice},
		},
		{
			"busy", "password", "", realm.Result{Status: realm.Busy, Identity: realm.Identity{Subject: alice}, RetryAfter: time.Second},
			realm.Result{Status: realm.Busy, RetryAfter: time.Second},
		},
		{"nothing said", "password", "", realm.Result{Identity: realm.Identity{Subject: alice}}, realm.Result{Status: realm.Refused}},
		{"nonsense", "password", "", realm.Result{Status: "ACCEPTED", Identity: realm.Identity{Subject: alice}}, realm.Result{Status: realm.Refused}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine := guests(t, tt.realm, collect(takesAll), answers(tt.result, nil))
			got, err := engine.Try(t.Context(), tt.realm, realm.Input{Subject: tt.subject})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(realm.Attempt{Result: tt.want}, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
		})
	}
}

// refuses checks that an attempt that broke is an error that names its realm and comes with nothing.
func refuses(t *testing.T, engine *realm.Engine, ctx context.Context, want string) error {
	t.Helper()
	got, err := engine.Try(ctx, "password", realm.Input{})
	if err == nil {
		t.Fatalf("the attempt is %+v", got)
	}
	if diff := cmp.Diff(realm.Attempt{}, got); diff != "" {
		t.Errorf("the error came with an attempt:\n%s", diff)
	}
	for _, part := range []string{`"password"`, want} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
	return err
}

func TestGuestsThatBreak(t *testing.T) {
	t.Parallel()
	yes := realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}
	broken := errors.New("the directory is gone")
	tests := []struct {
		name          string
		authenticator collect
		module        verify
		want          string
	}{
		{"the authenticator errs", func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
			return realm.Credentials{}, nil, broken
		}, answers(yes, nil), "collecting"},
		{"the authenticator errs and asks", func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
			return realm.Credentials{}, &realm.Challenge{}, broken
		}, answers(yes, nil), "collecting"},
		{"the authenticator panics", func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
			panic("no map")
		}, answers(yes, nil), "a guest panicked: string in "},
		{"the login module errs", takesAll, answers(realm.Result{}, broken), "verifying"},
		{"the login module errs and accepts", takesAll, answers(yes, broken), "verifying"},
		{"the login module panics", takesAll, func(context.Context, realm.Credentials) (realm.Result, error) { panic(broken) }, "panicked"},
		{"the login module dereferences nothing", takesAll, func(context.Context, realm.Credentials) (realm.Result, error) {
			var nothing *realm.Result
			return *nothing, nil
		}, "panicked: runtime error: invalid memory address"},
		{"the login module ends its goroutine", takesAll, func(context.Context, realm.Credentials) (realm.Result, error) {
			runtime.Goexit()
			return yes, nil
		}, "did not return"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := refuses(t, guests(t, "password", tt.authenticator, tt.module), t.Context(), tt.want)
			equal(t, "whatever has broken", errors.Is(err, realm.ErrUnjudged), true)
			if tt.want == "collecting" || tt.want == "verifying" {
				equal(t, "the cause is kept", errors.Is(err, broken), true)
			}
		})
	}
}

func TestUnknownRealms(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	for _, name := range []string{"", "sms", "gold", "PASSWORD"} {
		got, err := engine.Try(t.Context(), name, realm.Input{Subject: alice})
		if err == nil {
			t.Errorf("trying %q is %+v", name, got)
		}
		if diff := cmp.Diff(realm.Attempt{}, got); diff != "" {
			t.Errorf("trying %q came with an attempt:\n%s", name, diff)
		}
	}
}

func TestGuestsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	yes := realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}
	patient := verify(func(ctx context.Context, _ realm.Credentials) (realm.Result, error) {
		<-ctx.Done()
		return realm.Result{}, ctx.Err()
	})
	slow := func(d time.Duration) verify {
		return func(context.Context, realm.Credentials) (realm.Result, error) {
			<-time.After(d)
			return yes, nil
		}
	}
	tests := []struct {
		name          string
		authenticator collect
		module        verify
		took          time.Duration
		refused       bool
	}{
		{"the login module waits for the end", takesAll, patient, realm.DefaultTimeout, true},
		{"the login module accepts after the end", takesAll, slow(realm.DefaultTimeout + time.Second), realm.DefaultTimeout, true},
		{"the login module accepts just in time", takesAll, slow(realm.DefaultTimeout - 1), realm.DefaultTimeout - 1, false},
		{"both together take too long", func(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
			<-time.After(realm.DefaultTimeout / 2)
			return takesAll(ctx, in)
		}, slow(realm.DefaultTimeout/2 + 1), realm.DefaultTimeout, true},
		{"the authenticator waits for the end", func(ctx context.Context, _ realm.Input) (realm.Credentials, *realm.Challenge, error) {
			<-ctx.Done()
			return realm.Credentials{}, nil, ctx.Err()
		}, answers(yes, nil), realm.DefaultTimeout, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				engine := guests(t, "password", tt.authenticator, tt.module)
				began := time.Now()
				if tt.refused {
					err := refuses(t, engine, t.Context(), "password")
					equal(t, "it timed out", errors.Is(err, context.DeadlineExceeded), true)
				} else if got, err := engine.Try(t.Context(), "password", realm.Input{}); err != nil || got.Result.Status != realm.Accepted {
					t.Errorf("the attempt is %+v, %v", got, err)
				}
				equal(t, "time taken", time.Since(began), tt.took)
				<-time.After(realm.DefaultTimeout) // whoever was left behind ends
			})
		})
	}
}

// What a panic says may be what somebody typed. Where it was is told, and what the runtime says.
func TestAPanicTellsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "correct horse"
	engine := guests(t, "password", collect(takesAll), verify(func(_ context.Context, c realm.Credentials) (realm.Result, error) {
		panic(errors.New("no such password: " + c.Values["password"]))
	}))
	got, err := engine.Try(t.Context(), "password", realm.Input{Fields: map[string]string{"password": secret}})
	if err == nil {
		t.Fatalf("the attempt is %+v", got)
	}
	if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "errors.errorString in ") ||
		!strings.Contains(err.Error(), "TestAPanicTellsNoSecret") {
		t.Errorf("the error is %q", err)
	}
}

// A realm may have a time-out of its own, and others keep the engine's.
func TestTimeOutsOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []time.Duration{realm.DefaultTimeout, time.Second, realm.MaxTimeout} {
			config := standard()
			if want != realm.DefaultTimeout {
				config.Realms[0].Timeout = want
			}
			config.Realms[1].Timeout = want / 2 // another realm's is its own
			config.Realms[0].LoginModule = verify(func(ctx context.Context, _ realm.Credentials) (realm.Result, error) {
				<-ctx.Done()
				return realm.Result{}, ctx.Err()
			})
			began := time.Now()
			err := refuses(t, newEngine(t, config), t.Context(), "password")
			equal(t, "it timed out", errors.Is(err, context.DeadlineExceeded), true)
			equal(t, "time taken", time.Since(began), want)
		}
	})
}

// A guest that heeds nothing holds its own goroutine, not the request; and when too many do, the realm is not tried until
// they have come back. Other realms are.
func TestGuestsThatNeverReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls, cancelled atomic.Int32
		config := standard()
		config.Timeout = 2 * time.Second
		config.Realms[0].LoginModule = verify(func(ctx context.Context, _ realm.Credentials) (realm.Result, error) {
			calls.Add(1)
			<-release
			if ctx.Err() != nil {
				cancelled.Add(1)
			}
			return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}, nil
		})
		engine := newEngine(t, config)
		for range 64 {
			began := time.Now()
			err := refuses(t, engine, t.Context(), "password")
			equal(t, "it timed out", errors.Is(err, context.DeadlineExceeded), true)
			equal(t, "time taken", time.Since(began), config.Timeout)
		}
		began := time.Now()
		err := refuses(t, engine, t.Context(), "do not come back")
		equal(t, "it counts as a time-out", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "time taken when too many are behind", time.Since(began), 0)
		equal(t, "calls", calls.Load(), 64)
		if got, err := engine.Try(t.Context(), "card", realm.Input{}); err != nil || got.Result.Status != realm.Accepted {
			t.Errorf("another realm: %+v, %v", got, err)
		}
		close(release)
		synctest.Wait()
		equal(t, "guests whose context was cancelled", cancelled.Load(), 64)
		if got, err := engine.Try(t.Context(), "password", realm.Input{}); err != nil || got.Result.Status != realm.Accepted {
			t.Errorf("after they have come back: %+v, %v", got, err)
		}
	})
}

// What a guest is given is its own: one that was given up may read it while the caller goes on.
func TestGuestsGetTheirOwnInput(t *testing.T) {
	t.Parallel()
	engine := guests(t, "password", collect(func(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
		in.Fields["username"] = "mallory"
		delete(in.Headers, "X-Test")
		return realm.Credentials{}, nil, nil
	}), answers(realm.Result{}, nil))
	in := realm.Input{Fields: map[string]string{"username": "alice"}, Headers: map[string][]string{"X-Test": {"1"}}}
	if _, err := engine.Try(t.Context(), "password", in); err != nil {
		t.Fatal(err)
	}
	if in.Fields["username"] != "alice" || len(in.Headers["X-Test"]) != 1 {
		t.Errorf("a guest changed what the caller holds: %+v", in)
	}
}

func TestTheCallersEndIsTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	engine := guests(t, "password", collect(takesAll), verify(func(context.Context, realm.Credentials) (realm.Result, error) {
		cancel() // the browser went away while the module judged
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}, nil
	}))
	err := refuses(t, engine, ctx, "password")
	equal(t, "it was cancelled", errors.Is(err, context.Canceled), true)
}

// Whatever a login module says, an acceptance determines a user where it must, and proves nothing of anybody else.
func TestAcceptancesFitTheContext(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		subjects := rapid.SampledFrom([]string{"", alice, bob})
		result := realm.Result{
			Status:   rapid.SampledFrom([]realm.Status{realm.Accepted, realm.Refused, realm.Throttled, realm.Busy, "", "yes"}).Draw(rt, "status"),
			Identity: realm.Identity{Subject: subjects.Draw(rt, "identity"), Name: "A", AMR: []string{"x"}, Device: "dev_1"},
			Account:  subjects.Draw(rt, "account"),
		}
		name := rapid.SampledFrom([]string{"password", "card", "phone", "app"}).Draw(rt, "realm")
		known := subjects.Draw(rt, "known")
		engine := guests(t, name, collect(takesAll), answers(result, nil))
		got, err := engine.Try(t.Context(), name, realm.Input{Subject: known})
		if err != nil {
			rt.Fatal(err)
		}
		identity := got.Result.Identity
		if got.Result.Status != realm.Accepted {
			if diff := cmp.Diff(realm.Identity{}, identity); diff != "" {
				rt.Errorf("a refusal names somebody:\n%s", diff)
			}
			return
		}
		switch {
		case result.Status != realm.Accepted:
			rt.Errorf("%q became an acceptance", result.Status)
		case engine.DeterminesUser(name) && identity.Subject == "":
			rt.Error("an identity realm accepted nobody")
		case !engine.DeterminesUser(name) && identity.Subject != "" && identity.Subject != known:
			rt.Errorf("the realm %s proved %q to %q", name, identity.Subject, known)
		}
	})
}

// linker is a directory of users by population and external id.
type linker map[string]string

func (l linker) Link(_ context.Context, users string, identity realm.Identity) (string, error) {
	switch identity.ExternalID {
	case "locked":
		return bob, realm.ErrLocked
	case "down":
		return "", errors.New("the store is down")
	}
	return l[users+":"+identity.ExternalID], nil
}

// A login module that does not know the issuer's users names somebody by an id of its own. Whose that is, the engine asks.
func TestExternalIdentities(t *testing.T) {
	t.Parallel()
	external := func(id, subject string) realm.Result {
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{ExternalID: id, Subject: subject, Name: "A"}, Account: "a"}
	}
	link := linker{"corporate:7": alice, "password:7": bob}
	for _, tt := range []struct {
		name, users string
		linker      realm.Linker
		result      realm.Result
		want        realm.Result
		fails       bool
	}{
		{name: "a known one", users: "corporate", linker: link, result: external("7", ""),
			want: realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice, Name: "A"}, Account: alice}},
		{name: "the same id elsewhere is somebody else", linker: link, result: external("7", ""),
			want: realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: bob, Name: "A"}, Account: bob}},
		{name: "one who is locked", linker: link, result: external("locked", ""),
			want: realm.Result{Status: realm.Refused, Reason: "locked", Account: bob}},
		{name: "one with a subject as well", linker: link, result: external("7", alice),
			want: realm.Result{Status: realm.Refused, Reason: "not_linked", Account: "a"}},
		{name: "nobody to ask", result: external("7", ""), want: realm.Result{Status: realm.Refused, Reason: "not_linked", Account: "a"}},
		{name: "one the linker has no user for", linker: link, result: external("8", ""), fails: true},
		{name: "the store is down", linker: link, result: external("down", ""), fails: true},
		{name: "a refusal is not asked about", linker: link, result: realm.Result{Status: realm.Refused, Identity: realm.Identity{ExternalID: "down"}},
			want: realm.Result{Status: realm.Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := standard()
			c.Linker = tt.linker
			c.Realms[0].Users, c.Realms[0].Authenticator, c.Realms[0].LoginModule = tt.users, collect(takesAll), answers(tt.result, nil)
			got, err := newEngine(t, c).Try(t.Context(), "password", realm.Input{})
			if tt.fails != (err != nil) {
				t.Fatalf("Try = %+v, %v", got, err)
			}
			if diff := cmp.Diff(realm.Attempt{Result: tt.want}, got); diff != "" {
				t.Errorf("attempt (-want +got):\n%s", diff)
			}
		})
	}
}

// Asking judges nothing, also when what is to be judged is there already: whoever is shown a form again has not tried again.
func TestAskJudgesNothing(t *testing.T) {
	t.Parallel()
	challenge := &realm.Challenge{Fields: []realm.Field{{Name: "code"}}}
	judged := 0
	module := verify(func(context.Context, realm.Credentials) (realm.Result, error) {
		judged++
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: alice}}, nil
	})
	for _, tt := range []struct {
		name  string
		asks  *realm.Challenge
		fails error
		needs bool
	}{
		{name: "asks", asks: challenge}, {name: "has everything"}, {name: "fails", fails: context.Canceled}, {name: "needs the login", needs: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen realm.Input
			engine := guests(t, "password", collect(
				func(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
					seen = in
					return realm.Credentials{}, tt.asks, tt.fails
				}), byLogin{module, tt.needs})
			got, err := engine.Ask(t.Context(), "password", realm.Input{Locale: "nl"})
			if got != tt.asks || !errors.Is(err, tt.fails) {
				t.Errorf("Ask = %v, %v", got, err)
			}
			equal(t, "the locale that the authenticator is told", seen.Locale, "nl")
			equal(t, "what it is told of the login", seen.NeedsLogin, tt.needs)
		})
	}
	equal(t, "the number of judgements", judged, 0)
	if _, err := guests(t, "password", collect(takesAll), module).Ask(t.Context(), "nothing", realm.Input{}); err == nil {
		t.Error("a realm that is not defined asks")
	}
	panics := collect(func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) { panic("x") })
	if _, err := guests(t, "password", panics, module).Ask(t.Context(), "password", realm.Input{}); err == nil {
		t.Error("a guest that panics asks")
	}
}
