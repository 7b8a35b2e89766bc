// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// rotate refreshes and returns the next token.
func (w *world) rotate(token string) string {
	w.Helper()
	result := w.refresh(token, authz.Rotated)
	return result.Family.Token()
}

func withGrace(d time.Duration) func(*authz.Renewal) { return func(r *authz.Renewal) { r.Grace = d } }

func by(client string) func(*authz.Renewal) { return func(r *authz.Renewal) { r.ClientID = client } }

func asking(scopes ...string) func(*authz.Renewal) {
	return func(r *authz.Renewal) { r.Scopes = scopes }
}

func TestFamiliesAreDrawnApart(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	one, two := authz.NewFamily(now, familyTTL, familyIdle), authz.NewFamily(now, familyTTL, familyIdle)
	if one.ID == two.ID || string(one.Seed) == string(two.Seed) || one.Token() == two.Token() || len(one.Seed) < 32 {
		t.Errorf("families are %+v and %+v", one, two)
	}
	moved := one
	moved.ID = two.ID
	if secretOf(moved.Token()) == secretOf(one.Token()) {
		t.Error("a secret does not depend on the family")
	}
	moved = one
	moved.Generation++
	if secretOf(moved.Token()) == secretOf(one.Token()) {
		t.Error("a secret does not depend on the generation")
	}
	if strings.Contains(one.Token(), string(one.Seed)) {
		t.Error("the token holds the seed")
	}
	equal(t, "lifetime", one.ExpiresAt.Sub(now), familyTTL)
	equal(t, "idle lifetime", one.IdleExpiresAt.Sub(now), familyIdle)
}

func secretOf(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }

func TestSeedsAreSealed(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, _ := w.authorized()
		in := w.redemption(code)
		w.redeem(in, authz.Redeemed)
		w.ok(w.db.View(w.Context(), func(tx storage.Tx) error {
			for item, err := range tx.Scan("", "", 0) {
				w.ok(err)
				for what, secret := range map[string]string{"the seed": string(in.Family.Seed), "the token": secretOf(in.Family.Token()), "the code": code} {
					if strings.Contains(string(item.Value), secret) || strings.Contains(item.Key, secret) {
						w.Errorf("%s is readable under %q", what, item.Key)
					}
				}
				if strings.HasPrefix(item.Key, "family/") && strings.Contains(string(item.Value), "seed") {
					w.Errorf("the family is readable under %q", item.Key)
				}
			}
			return nil
		}))
	})
}

// RFC 6749 6 and RFC 9700 4.14.2.
func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, token := w.started(offline)
		seen := map[string]bool{token: true}
		for range 40 { // past one digit of the generation
			w.after(time.Hour)
			result := w.refresh(token, authz.Rotated)
			token = result.Family.Token()
			if seen[token] {
				w.Fatalf("the token %q comes again", token)
			}
			seen[token] = true
			equal(w, "rotated at", result.Family.RotatedAt, w.store.Now())
			equal(w, "idle until", result.Family.IdleExpiresAt, w.store.Now().Add(familyIdle))
			w.wantRevoked(result.Revocations, authz.KindGrant)
			if diff := cmp.Diff(grant, result.Grant, cmpopts.EquateEmpty()); diff != "" {
				w.Fatalf("the grant moves on refresh (-want +got):\n%s", diff)
			}
		}
		w.wantRevoked(w.log(), authz.KindGrant)
	})
}

func TestGraceRepeatsTheSuccessor(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, first := w.started()
		next := w.rotate(first)
		for range 3 {
			result := w.refresh(first, authz.Repeated)
			equal(w, "token within the grace window", result.Family.Token(), next)
			equal(w, "grant within the grace window", result.Grant.ID, grant.ID)
			w.after(3 * time.Second)
		}
		w.refresh(first, authz.Repeated)
		w.rotate(next)
		w.wantActive(grant, true)
	})
}

// RFC 9700 4.14.2: what was used before revokes everything.
func TestReuseRevokesTheFamilyAndItsGrant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// reuse returns the used token to present again, and with which grace.
		reuse func(w *world, tokens []string) (string, time.Duration)
	}{
		{"the one before, after the grace window", func(w *world, tokens []string) (string, time.Duration) {
			w.after(grace)
			return tokens[2], grace
		}},
		{"the one before, without a grace window", func(_ *world, tokens []string) (string, time.Duration) { return tokens[2], 0 }},
		{"the one before that, within the grace window", func(_ *world, tokens []string) (string, time.Duration) { return tokens[1], grace }},
		{"the first, within the grace window", func(_ *world, tokens []string) (string, time.Duration) { return tokens[0], grace }},
		{"the one before, when the family is idle", func(w *world, tokens []string) (string, time.Duration) {
			w.after(familyIdle)
			return tokens[2], grace
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				session, _ := w.sign(alice)
				grant, token := w.line(session, offline)
				untouched, _ := w.line(session, offline)
				tokens := []string{token}
				for range 3 {
					tokens = append(tokens, w.rotate(tokens[len(tokens)-1]))
				}
				used, window := tt.reuse(w, tokens)
				result := w.refresh(used, authz.RefreshReused, withGrace(window))
				w.wantRevoked(result.Revocations, authz.KindGrant, grant.ID)
				equal(w, "subject told to the audit trail", result.Grant.Subject, alice)
				if diff := cmp.Diff(rotation.Family{}, result.Family); diff != "" {
					w.Errorf("a refusal comes with a family that could mint:\n%s", diff)
				}
				w.wantActive(grant, false)
				w.wantActive(untouched, true)
				for _, dead := range tokens {
					result := w.refresh(dead, authz.RefreshRevoked)
					w.wantRevoked(result.Revocations, authz.KindGrant)
				}
				w.wantRevoked(w.log(), authz.KindGrant, grant.ID)
			})
		})
	}
}

func TestAGuessRevokesNothing(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		grant, first := w.started()
		token := w.rotate(first)
		family := strings.Split(token, ".")[0]
		foreign := authz.NewFamily(w.store.Now(), familyTTL, familyIdle)
		foreign.ID = family
		foreignOld := foreign
		foreign.Generation = 2
		for _, guess := range []string{
			foreign.Token(), foreignOld.Token(), // the right id and a secret of one's own
			family + ".1." + secretOf(token), family + ".2." + secretOf(first), family + ".3." + secretOf(token),
			family + ".1.", family + ".2.", family + ".1.x", family + ".2." + secretOf(token) + "x", family + ".2." + strings.ToLower(secretOf(token)),
			"rt_unknown.1." + secretOf(token), first + ".x", "", "x", "..", "rt_..", family,
		} {
			result := w.refresh(guess, authz.RefreshUnknown)
			if diff := cmp.Diff(authz.RefreshResult{Outcome: authz.RefreshUnknown}, result); diff != "" {
				w.Errorf("the guess %q learns something:\n%s", guess, diff)
			}
			revoked, err := w.store.RevokeRefreshToken(w.Context(), guess, app)
			w.ok(err)
			w.wantRevoked(revoked, authz.KindGrant)
			_, _, ok, err := w.store.FamilyByToken(w.Context(), guess)
			w.ok(err)
			equal(w, "a guess has a family", ok, false)
		}
		w.wantActive(grant, true)
		w.rotate(token)
	})
}

// A token of a generation that was never issued cannot be told from a guess, even by who knows the seed.
func TestTokensOfTheFutureAreUnknown(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		code, _ := w.authorized()
		in := w.redemption(code)
		w.redeem(in, authz.Redeemed)
		ahead := *in.Family
		ahead.Generation = 7
		w.refresh(ahead.Token(), authz.RefreshUnknown)
		w.refresh(in.Family.Token(), authz.Rotated)
	})
}

func TestAnotherClientsTokenIsUnknown(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, first := w.started()
		token := w.rotate(first)
		w.after(time.Minute)
		for _, client := range []string{other, "", "APP"} {
			w.refresh(token, authz.RefreshUnknown, by(client))
			w.refresh(first, authz.RefreshUnknown, by(client)) // nor does a stranger's reuse revoke
			revoked, err := w.store.RevokeRefreshToken(w.Context(), token, client)
			w.ok(err)
			w.wantRevoked(revoked, authz.KindGrant)
		}
		w.wantActive(grant, true)
		w.rotate(token)
	})
}

func TestFamiliesExpire(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		_, idle := w.line(session, offline)
		_, busy := w.line(session, offline)
		w.after(familyIdle - time.Millisecond)
		busy = w.rotate(busy)
		w.after(time.Millisecond)
		w.refresh(idle, authz.RefreshUnknown)
		busy = w.rotate(busy)
		w.after(familyTTL - familyIdle - time.Millisecond)
		busy = w.rotate(busy)
		w.after(time.Millisecond) // idle for a millisecond, and at the end of its absolute lifetime
		w.refresh(busy, authz.RefreshUnknown)
	})
}

func TestAFamilyEndsWithItsGrant(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		_, token := w.started(offline, func(c *authz.Completion) { c.Grant.ExpiresAt = w.store.Now().Add(time.Hour) })
		w.after(time.Hour - time.Millisecond)
		token = w.rotate(token)
		w.after(time.Millisecond)
		w.refresh(token, authz.RefreshRevoked)
	})
}

// RFC 6749 6: no more than was granted, and asking for less does not make the grant less.
func TestScopesOfARefresh(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ask  []string
		want authz.RefreshOutcome
	}{
		{"RFC6749/6 none", nil, authz.Rotated},
		{"RFC6749/6 all", scopes, authz.Rotated},
		{"RFC6749/6 some", []string{"accounts:read"}, authz.Rotated},
		{"RFC6749/6 one more", []string{"openid", "admin"}, authz.RefreshExceeds},
		{"RFC6749/6 another", []string{"admin"}, authz.RefreshExceeds},
		{"RFC6749/6 another case", []string{"OpenID"}, authz.RefreshExceeds},
		{"RFC6749/6 an empty one", []string{""}, authz.RefreshExceeds},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				_, token := w.started()
				result := w.refresh(token, tt.want, asking(tt.ask...))
				if tt.want == authz.RefreshExceeds {
					equal(w, "family beside a refusal", result.Family.ID, "")
					w.rotate(token) // the token is untouched
					w.refresh(token, authz.RefreshExceeds, asking(tt.ask...))
					w.refresh(token, authz.Repeated)
					return
				}
				if diff := cmp.Diff(oauth.Scopes(scopes), result.Grant.Scopes); diff != "" {
					w.Errorf("scopes of the grant (-want +got):\n%s", diff)
				}
				w.refresh(result.Family.Token(), authz.Rotated, asking(scopes...))
			})
		})
	}
}

func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, token := w.started()
		type answer struct {
			outcome authz.RefreshOutcome
			token   string
		}
		count := map[answer]int{}
		for _, a := range race(w, func(int) (answer, error) {
			result, err := w.store.Refresh(w.Context(), authz.Renewal{Token: token, ClientID: app, Grace: grace})
			return answer{result.Outcome, result.Family.Token()}, err
		}) {
			count[a]++
		}
		equal(w, "different answers", len(count), 2)
		var next string
		for a, n := range count {
			next = a.token
			if want := map[authz.RefreshOutcome]int{authz.Rotated: 1, authz.Repeated: crowd - 1}[a.outcome]; n != want {
				w.Errorf("%d answers are %s, want %d", n, a.outcome, want)
			}
		}
		w.wantActive(grant, true)
		w.rotate(next)
	})
}

func TestParallelRefreshesWithoutGraceLeaveNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, token := w.started()
		count := map[authz.RefreshOutcome]int{}
		for _, outcome := range race(w, func(int) (authz.RefreshOutcome, error) {
			result, err := w.store.Refresh(w.Context(), authz.Renewal{Token: token, ClientID: app})
			return result.Outcome, err
		}) {
			count[outcome]++
		}
		want := map[authz.RefreshOutcome]int{authz.Rotated: 1, authz.RefreshReused: 1, authz.RefreshRevoked: crowd - 2}
		if diff := cmp.Diff(want, count); diff != "" {
			w.Errorf("outcomes (-want +got):\n%s", diff)
		}
		w.wantActive(grant, false)
		w.wantRevoked(w.log(), authz.KindGrant, grant.ID)
	})
}

// Whatever a client and a thief do with the tokens of one line, the store agrees with a model that only knows which
// generation is current, and a line that ended never issues again.
func TestAnyHistoryOfALine(t *testing.T) {
	t.Parallel()
	w := solo(t)
	rapid.Check(t, func(rt *rapid.T) {
		grant, token := w.started(offline)
		tokens, rotated, dead := []string{token}, w.store.Now(), false
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			w.after(time.Duration(rapid.IntRange(0, 15).Draw(rt, "seconds")) * time.Second)
			i := len(tokens) - 1 - rapid.IntRange(0, min(2, len(tokens)-1)).Draw(rt, "age")
			want := authz.RefreshReused
			switch {
			case dead:
				want = authz.RefreshRevoked
			case i == len(tokens)-1:
				want = authz.Rotated
			case i == len(tokens)-2 && w.store.Now().Sub(rotated) < grace:
				want = authz.Repeated
			}
			result, err := w.store.Refresh(w.Context(), authz.Renewal{Token: tokens[i], ClientID: app, Grace: grace})
			if err != nil || result.Outcome != want {
				rt.Fatalf("step %d: token %d of %d is %s, %v; want %s", step, i, len(tokens), result.Outcome, err, want)
			}
			switch want {
			case authz.Rotated:
				tokens, rotated = append(tokens, result.Family.Token()), w.store.Now()
			case authz.Repeated:
				if result.Family.Token() != tokens[len(tokens)-1] {
					rt.Fatalf("step %d: the grace window gives another token", step)
				}
			case authz.RefreshReused:
				dead = true
			}
			if _, err := w.store.Grant(w.Context(), grant.ID); dead != errors.Is(err, storage.ErrNotFound) {
				rt.Fatalf("step %d: the line is dead: %v, its grant: %v", step, dead, err)
			}
		}
	})
}

func TestFamilyByToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// change returns the token to ask about.
		change func(w *world, grant authz.Grant, token string) string
		want   bool
	}{
		{"current", func(_ *world, _ authz.Grant, token string) string { return token }, true},
		{"rotated", func(w *world, _ authz.Grant, token string) string { return w.rotate(token) }, true},
		{"used, within the grace window", func(w *world, _ authz.Grant, token string) string {
			w.rotate(token)
			return token
		}, false},
		{"idle", func(w *world, _ authz.Grant, token string) string {
			w.after(familyIdle)
			return token
		}, false},
		{"expired", func(w *world, _ authz.Grant, token string) string {
			w.after(familyTTL)
			return token
		}, false},
		{"of a revoked grant", func(w *world, grant authz.Grant, token string) string {
			w.ok(second(w.store.RevokeGrant(w.Context(), grant.ID, "")))
			return token
		}, false},
		{"of a locked user", func(w *world, _ authz.Grant, token string) string {
			w.lock(alice)
			return token
		}, false},
		{"revoked", func(w *world, _ authz.Grant, token string) string {
			w.ok(second(w.store.RevokeRefreshToken(w.Context(), token, app)))
			return token
		}, false},
		{"wrong secret", func(_ *world, _ authz.Grant, token string) string { return token + "x" }, false},
		{"malformed", func(*world, authz.Grant, string) string { return "x" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				grant, token := w.started(offline)
				token = tt.change(w, grant, token)
				family, got, ok, err := w.store.FamilyByToken(w.Context(), token)
				w.ok(err)
				equal(w, "active", ok, tt.want)
				if !tt.want {
					equal(w, "family of a dead token", family.ID, "")
					equal(w, "grant of a dead token", got.ID, "")
					return
				}
				equal(w, "token of the family", family.Token(), token)
				equal(w, "grant", got.ID, grant.ID)
				w.rotate(token) // asking has used nothing
			})
		})
	}
}

// RFC 7009 2.1.
func TestRevokeRefreshToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		client string
		which  func(first, current string) string
		want   bool
	}{
		{"RFC7009/2.1 current", app, func(_, current string) string { return current }, true},
		{"RFC7009/2.1 used before", app, func(first, _ string) string { return first }, true},
		{"RFC7009/2.1 another client's", other, func(_, current string) string { return current }, false},
		{"RFC7009/2.2 unknown", app, func(_, current string) string { return current[:len(current)-1] }, false},
		{"RFC7009/2.2 malformed", app, func(string, string) string { return "?" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				session, _ := w.sign(alice)
				grant, first := w.line(session)
				untouched, _ := w.line(session)
				current := w.rotate(first)
				revoked, err := w.store.RevokeRefreshToken(w.Context(), tt.which(first, current), tt.client)
				w.ok(err)
				w.wantActive(untouched, true)
				w.wantActive(grant, !tt.want)
				if !tt.want {
					w.wantRevoked(revoked, authz.KindGrant)
					w.rotate(current)
					return
				}
				w.wantRevoked(revoked, authz.KindGrant, grant.ID)
				w.refresh(current, authz.RefreshRevoked)
				revoked, err = w.store.RevokeRefreshToken(w.Context(), current, tt.client)
				w.ok(err)
				w.wantRevoked(revoked, authz.KindGrant)
				w.wantRevoked(w.log(), authz.KindGrant, grant.ID)
			})
		})
	}
}

func TestWithinIsPartOfTheRefresh(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		grant, token := w.started()
		broken := errors.New("the trail is full")
		var told authz.RefreshResult
		in := authz.Renewal{Token: token, ClientID: app, Within: func(tx storage.Tx, result authz.RefreshResult) error {
			told = result
			return errors.Join(tx.Put(storage.Item{Key: "trail", Value: []byte(result.Outcome)}), broken)
		}}
		for range 2 { // nothing is used while the trail fails
			got, err := w.store.Refresh(w.Context(), in)
			w.wantError("refreshing", err, broken)
			if diff := cmp.Diff(authz.RefreshResult{}, got); diff != "" {
				w.Errorf("the error came with a result:\n%s", diff)
			}
			equal(w, "outcome that the trail was told", told.Outcome, authz.Rotated)
		}
		w.wantTrail("")
		broken = nil
		for _, want := range []authz.RefreshOutcome{authz.Rotated, authz.RefreshReused, authz.RefreshRevoked} {
			got, err := w.store.Refresh(w.Context(), in)
			w.ok(err)
			equal(w, "outcome", got.Outcome, want)
			w.wantTrail(string(want))
		}
		in.Token = token + "x"
		w.ok(second(w.store.Refresh(w.Context(), in)))
		w.wantTrail(string(authz.RefreshUnknown))
		w.wantActive(grant, false)
	})
}

// Whatever has the shape of a refresh token and is none of ours names nobody and revokes nothing.
func FuzzRefreshToken(f *testing.F) {
	clock := storagetest.NewClock()
	family := authz.NewFamily(clock.Now(), familyTTL, familyIdle)
	for _, seed := range []string{family.Token(), "rt_a.1.b", "rt_.1.", "rt_a.10.b", "rt_a/../b.1.c", "rt_\x00.1.\xff", "", "..", "rt_a.1y2p0ij32e8e7.b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := solo(t)
		result, err := w.store.Refresh(t.Context(), authz.Renewal{Token: text, ClientID: ""})
		w.ok(err)
		equal(t, "outcome", result.Outcome, authz.RefreshUnknown)
		_, _, ok, err := w.store.FamilyByToken(t.Context(), text)
		w.ok(err)
		equal(t, "is a token of a family", ok, false)
		if !authz.LooksLikeRefreshToken(text) {
			return
		}
		parts := strings.Split(text, ".")
		if len(text) > 256 || len(parts) != 3 || !strings.HasPrefix(text, "rt_") || strings.ToLower(parts[1]) != parts[1] {
			t.Errorf("%q looks like a refresh token", text)
		}
	})
}

func BenchmarkRefresh(b *testing.B) {
	b.ReportAllocs()
	w := solo(b)
	_, token := w.started(offline)
	for b.Loop() {
		result, err := w.store.Refresh(b.Context(), authz.Renewal{Token: token, ClientID: app, Grace: grace})
		if err != nil || result.Outcome != authz.Rotated {
			b.Fatal(fmt.Sprint(result.Outcome, err))
		}
		token = result.Family.Token()
	}
}
