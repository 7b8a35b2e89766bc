// SPDX-License-Identifier: Apache-2.0

package passhash_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/passhash"
	"github.com/gatehouse-id/gatehouse/internal/turns"
)

func newVerifier(t testing.TB, c passhash.Config) *passhash.Verifier {
	t.Helper()
	v, err := passhash.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func cheap(t testing.TB) *passhash.Verifier {
	t.Helper()
	v, err := passhash.Cheap()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHashesOfOthers(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, passhash.Config{})
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, try := range []struct {
				password string
				want     bool
			}{
				{tt.password, true}, {tt.password + "x", false}, {strings.ToUpper(tt.password), false}, {"", false},
				{tt.password[:len(tt.password)-1], false},
			} {
				if ok, err := v.Verify(t.Context(), tt.hash, try.password); ok != try.want || err != nil {
					t.Errorf("Verify of %q = %v, %v, want %v", try.password, ok, err, try.want)
				}
			}
		})
	}
}

// TestEveryKindIsTested: a kind that is accepted has a vector.
func TestEveryKindIsTested(t *testing.T) {
	t.Parallel()
	for _, prefix := range passhash.Prefixes() {
		tested := slices.ContainsFunc(vectors, func(v vector) bool { return strings.HasPrefix(v.hash, prefix) })
		if !tested && prefix != "$pbkdf2-sha1$" && prefix != "argon2$argon2i$" {
			t.Errorf("nothing tests %s", prefix)
		}
	}
}

// TestEveryPartCounts changes each character of each hash: no other text is a hash of the same password.
func TestEveryPartCounts(t *testing.T) {
	t.Parallel()
	v := cheap(t)
	for _, tt := range vectors {
		if ok, err := v.Verify(t.Context(), tt.hash, tt.password); !ok && !errors.Is(err, passhash.ErrCost) {
			t.Fatalf("%s: Verify = %v, %v", tt.name, ok, err)
		}
		for i := range tt.hash {
			replace := "x"
			if tt.hash[i] == 'x' {
				replace = "y"
			}
			changed := tt.hash[:i] + replace + tt.hash[i+1:]
			if ok, _ := v.Verify(t.Context(), changed, tt.password); ok && !bcryptSlack(tt.hash, i) {
				t.Errorf("%s: %s is accepted too", tt.name, changed)
			}
		}
	}
}

// bcryptSlack reports whether bcrypt ignores bits of a character: the last of the salt has two that count, that of the key four.
func bcryptSlack(hash string, i int) bool {
	return strings.Contains(hash, "$2") && strings.Contains(hash, "$04$") && (i == len(hash)-1 || i == len(hash)-32)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		salt = "c2FsdHNhbHQxMjM0NTY3OA"
		key  = "rkTI9fAgA7thDzzR8FHXhMiojYBreJBmYTkEzWypBCQ"
		bits = "abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
		sha5 = "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8"
		seas = "g3dGJQ8owMYyhK9ZquyN7VEHZB9iVlMqw6PFWQ9oG7A="
		cr7  = "YwDlNbLxnPlxkea1Qlh1pEzzCTpdz6tD2L16j2MHDh3"
	)
	for _, tt := range []struct {
		name, hash string
		want       error
		says       string
	}{
		{"nothing", "", passhash.ErrKind, "empty"},
		{"plain text", "correct horse", passhash.ErrKind, "plain text"},
		{"traditional crypt", "rqXexS6ZhobKA", passhash.ErrKind, "traditional crypt"},
		{"unsalted MD5", "5f4dcc3b5aa765d61d8327deb882cf99", passhash.ErrKind, "MD5"},
		{"unsalted SHA-1", strings.Repeat("5baa61e4c9", 4), passhash.ErrKind, "SHA"},
		{"unsalted SHA-256", strings.Repeat("5e884898", 8), passhash.ErrKind, "SHA"},
		{"unsalted SHA-512", strings.Repeat("B109F3BB", 16), passhash.ErrKind, "SHA"},
		{"MD5-crypt", "$1$3azHgidD$SrJPt7B.9rekpmwJwtON31", passhash.ErrKind, "MD5"},
		{"Apache's MD5", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/", passhash.ErrKind, "MD5"},
		{"Django's MD5", "md5$seasalt$b614725f4cc025a51ab6a354d12890ab", passhash.ErrKind, "MD5"},
		{"Django's SHA-1", "sha1$$2f9e53523b62abc141a2b4d6019d23cba835dbd0", passhash.ErrKind, "SHA-1"},
		{"Django's unusable password", "!PnUv9ybXF1STjaH1I6a3f7swdIdvuYvbLaI99vhR", passhash.ErrKind, "without a usable"},
		{"locked account", "*", passhash.ErrKind, "without a usable"},
		{"LDAP's scheme", "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr", passhash.ErrKind, "braces"},
		{"yescrypt", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", passhash.ErrKind, "yescrypt"},
		{"argon2d", "$argon2d$v=19$m=64,t=2,p=1$" + salt + "$" + key, passhash.ErrKind, "Argon2d"},
		{"Django's argon2d", "argon2$argon2d$v=19$m=64,t=2,p=1$" + salt + "$" + key, passhash.ErrKind, "other than"},
		{"bcrypt 2", "$2$04$" + bits, passhash.ErrKind, "before version"},
		{"bcrypt 2x", "$2x$04$" + bits, passhash.ErrKind, "flaw"},
		{"unknown", "$9$abc", passhash.ErrKind, "unknown kind"},
		{"capitals", "$2B$04$" + bits, passhash.ErrKind, "unknown kind"},
		{"leading space", " $2b$04$" + bits, passhash.ErrKind, "plain text"},
		{"long", "$2b$04$" + strings.Repeat("a", 600), passhash.ErrKind, "longer than"},

		{"bcrypt too short", "$2b$04$" + bits[1:], passhash.ErrFormat, "53 characters"},
		{"bcrypt too long", "$2b$04$" + bits + "a", passhash.ErrFormat, "53 characters"},
		{"bcrypt with another alphabet", "$2b$04$" + bits[:52] + "+", passhash.ErrFormat, "53 characters"},
		{"bcrypt of cost 3", "$2b$03$" + bits, passhash.ErrFormat, "a cost"},
		{"bcrypt of one digit", "$2b$4$" + bits, passhash.ErrFormat, "a cost"},
		{"bcrypt of no number", "$2b$xx$" + bits, passhash.ErrFormat, "a cost"},
		{"bcrypt of cost 16", "$2b$16$" + bits, passhash.ErrCost, "at most 15"},
		{"bcrypt of cost 31", "$2b$31$" + bits, passhash.ErrCost, "at most 15"},
		{"Django's bcrypt of nothing", "bcrypt$$1$abc", passhash.ErrFormat, "after the name"},
		{"Django's bcrypt of cost 16", "bcrypt_sha256$$2b$16$" + bits, passhash.ErrCost, "at most 15"},

		{"argon2 version 16", "$argon2id$v=16$m=64,t=2,p=1$" + salt + "$" + key, passhash.ErrFormat, "v=19"},
		{"argon2 without a version", "$argon2id$m=64,t=2,p=1$" + salt + "$" + key, passhash.ErrFormat, "v=19"},
		{"argon2 in another order", "$argon2id$v=19$t=2,m=64,p=1$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 with a secret", "$argon2id$v=19$m=64,t=2,p=1,keyid=x$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 of no passes", "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 of no threads", "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 of little memory", "$argon2id$v=19$m=15,t=1,p=2$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 with a sign", "$argon2id$v=19$m=+64,t=1,p=1$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 with a leading zero", "$argon2id$v=19$m=064,t=1,p=1$" + salt + "$" + key, passhash.ErrFormat, "m=,t=,p="},
		{"argon2 without a key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", passhash.ErrFormat, "the key"},
		{"argon2 with a short key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA", passhash.ErrFormat, "the key"},
		{"argon2 with a padded key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "=", passhash.ErrFormat, "the key"},
		{"argon2 with a folded key", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "\n", passhash.ErrFormat, "the key"},
		{"argon2 without a salt", "$argon2id$v=19$m=64,t=1,p=1$$" + key, passhash.ErrFormat, "the salt"},
		{"argon2 with a part too many", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$", passhash.ErrFormat, "v=19"},
		{"argon2 of 257 MiB", "$argon2id$v=19$m=263168,t=1,p=1$" + salt + "$" + key, passhash.ErrCost, "KiB of memory, at most 262144"},
		{"argon2 of 2 TiB", "$argon2id$v=19$m=2147483647,t=1,p=1$" + salt + "$" + key, passhash.ErrCost, "KiB of memory"},
		{"argon2 of 11 passes", "$argon2i$v=19$m=64,t=11,p=1$" + salt + "$" + key, passhash.ErrCost, "passes, at most 10"},
		{"argon2 of 65 threads", "$argon2i$v=19$m=640,t=1,p=65$" + salt + "$" + key, passhash.ErrCost, "threads, at most 64"},

		{"scrypt of 512 MiB", "$scrypt$ln=19,r=8,p=1$" + salt + "$" + key, passhash.ErrCost, "n·r·p"},
		{"scrypt of eons", "$scrypt$ln=63,r=8,p=1$" + salt + "$" + key, passhash.ErrCost, "n·r·p"},
		{"scrypt of much r", "$scrypt$ln=1,r=2147483647,p=1$" + salt + "$" + key, passhash.ErrCost, "r"},
		{"scrypt of much p", "$scrypt$ln=1,r=1,p=2147483647$" + salt + "$" + key, passhash.ErrCost, "p"},
		{"scrypt of everything", "$scrypt$ln=31,r=32768,p=32768$" + salt + "$" + key, passhash.ErrCost, "n·r·p"},
		{"scrypt of n 1", "$scrypt$ln=0,r=8,p=1$" + salt + "$" + key, passhash.ErrFormat, "power of two"},
		{"scrypt of r 0", "$scrypt$ln=4,r=0,p=1$" + salt + "$" + key, passhash.ErrFormat, "power of two"},
		{"scrypt of p 0", "$scrypt$ln=4,r=8,p=0$" + salt + "$" + key, passhash.ErrFormat, "power of two"},
		{"scrypt with a part too few", "$scrypt$ln=4,r=8,p=1$" + salt, passhash.ErrFormat, "ln="},
		{"scrypt with N", "$scrypt$N=16,r=8,p=1$" + salt + "$" + key, passhash.ErrFormat, "ln="},
		{"scrypt with a bad key", "$scrypt$ln=4,r=8,p=1$" + salt + "$!", passhash.ErrFormat, "the key"},
		{"crypt's scrypt of much memory", "$7$H6..../....salt$" + cr7, passhash.ErrCost, "n·r·p"},
		{"crypt's scrypt without a salt", "$7$26..../....$" + cr7, passhash.ErrFormat, "salt"},
		{"crypt's scrypt without a key", "$7$26..../....salt", passhash.ErrFormat, "11 digits"},
		{"crypt's scrypt with a short key", "$7$26..../....salt$abc", passhash.ErrFormat, "11 digits"},
		{"crypt's scrypt with a bad digit", "$7$2!..../....salt$" + cr7, passhash.ErrFormat, "11 digits"},
		{"crypt's scrypt cut short", "$7$26$" + cr7, passhash.ErrFormat, "11 digits"},
		{"Django's scrypt of no power", "scrypt$17$seasalt$8$1$" + seas, passhash.ErrFormat, "power of two"},
		{"Django's scrypt of much memory", "scrypt$1073741824$seasalt$8$1$" + seas, passhash.ErrCost, "n·r·p"},
		{"Django's scrypt of no number", "scrypt$16$seasalt$x$1$" + seas, passhash.ErrFormat, "scrypt$n"},
		{"Django's scrypt cut short", "scrypt$16$seasalt$8$" + seas, passhash.ErrFormat, "scrypt$n"},
		{"Django's scrypt without a salt", "scrypt$16$$8$1$" + seas, passhash.ErrFormat, "salt"},

		{"PBKDF2 of too many", "$pbkdf2-sha256$5000001$" + salt + "$" + key, passhash.ErrCost, "5000001 PBKDF2 iterations"},
		{"PBKDF2 of too many blocks", "$pbkdf2$2000000$" + salt + "$" + strings.Repeat("A", 84), passhash.ErrCost, "8000000 PBKDF2 iterations"},
		{"PBKDF2 of none", "$pbkdf2-sha256$0$" + salt + "$" + key, passhash.ErrFormat, "iterations"},
		{"PBKDF2 of no number", "$pbkdf2-sha256$many$" + salt + "$" + key, passhash.ErrFormat, "iterations"},
		{"PBKDF2 with another length", "$pbkdf2-sha256$i=20,l=31$" + salt + "$" + key, passhash.ErrFormat, "iterations"},
		{"PBKDF2 with a plus in passlib's form", "$pbkdf2-sha256$20$" + salt + "$" + key[:42] + "+", passhash.ErrFormat, "iterations"},
		{"PBKDF2 with a stop in PHC's form", "$pbkdf2-sha256$i=20$" + salt + "$" + key[:40] + "...", passhash.ErrFormat, "the key"},
		{"PBKDF2 cut short", "$pbkdf2-sha256$20$" + salt, passhash.ErrFormat, "iterations"},
		{"PBKDF2 with a key too long", "$pbkdf2-sha256$20$" + salt + "$" + strings.Repeat("A", 88), passhash.ErrFormat, "the key"},
		{"Django's PBKDF2 of too many", "pbkdf2_sha256$99999999$seasalt$" + seas, passhash.ErrCost, "PBKDF2 iterations"},
		{"Django's PBKDF2 without padding", "pbkdf2_sha256$20$seasalt$" + strings.TrimSuffix(seas, "="), passhash.ErrFormat, "the key"},
		{"Django's PBKDF2 without a salt", "pbkdf2_sha256$20$$" + seas, passhash.ErrFormat, "salt"},
		{"Django's PBKDF2 of no number", "pbkdf2_sha256$-1$seasalt$" + seas, passhash.ErrFormat, "iterations"},
		{"Django's PBKDF2 cut short", "pbkdf2_sha256$20$" + seas, passhash.ErrFormat, "iterations"},
		{"Django's PBKDF2 with a salt of controls", "pbkdf2_sha256$20$a\x00b$" + seas, passhash.ErrFormat, "salt"},

		{"SHA-crypt of too many rounds", "$5$rounds=1000001$salt$" + sha5, passhash.ErrCost, "SHA-crypt rounds"},
		{"SHA-crypt of its own most", "$5$rounds=999999999$salt$" + sha5, passhash.ErrCost, "SHA-crypt rounds"},
		{"SHA-crypt of too few rounds", "$5$rounds=999$salt$" + sha5, passhash.ErrFormat, "rounds=N"},
		{"SHA-crypt of no rounds", "$5$rounds=$salt$" + sha5, passhash.ErrFormat, "rounds=N"},
		{"SHA-crypt of 512 bits under 256", "$6$salt$" + sha5, passhash.ErrFormat, "rounds=N"},
		{"SHA-crypt without a salt", "$5$$" + sha5, passhash.ErrFormat, "salt"},
		{"SHA-crypt with a long salt", "$5$01234567890123456$" + sha5, passhash.ErrFormat, "salt"},
		{"SHA-crypt with a bad key", "$5$salt$" + sha5[:42] + "=", passhash.ErrFormat, "rounds=N"},
		{"SHA-crypt without a key", "$5$salt", passhash.ErrFormat, "rounds=N"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := passhash.Check(tt.hash)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Check = %v, want %v with %q", err, tt.want, tt.says)
			}
			v := cheap(t)
			ok, verified := v.Verify(t.Context(), tt.hash, "correct horse")
			if ok || verified == nil {
				t.Errorf("Verify = %v, %v", ok, verified)
			}
			for _, secret := range []string{bits, key, sha5, "correct horse"} {
				if strings.Contains(verified.Error(), secret) {
					t.Errorf("the error repeats the hash: %v", verified)
				}
			}
			if got := v.Stats().Runs; got != 1 {
				t.Errorf("%d hashes were computed, want 1: the account can be told apart", got)
			}
		})
	}
}

// TestCostsAtTheBound: what costs just as much as is allowed is accepted.
func TestCostsAtTheBound(t *testing.T) {
	t.Parallel()
	const salt, key = "c2FsdHNhbHQxMjM0NTY3OA", "rkTI9fAgA7thDzzR8FHXhMiojYBreJBmYTkEzWypBCQ"
	for _, hash := range []string{
		"$2b$15$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
		"$argon2id$v=19$m=262144,t=10,p=64$" + salt + "$" + key,
		"$scrypt$ln=18,r=8,p=1$" + salt + "$" + key,
		"$pbkdf2-sha256$5000000$" + salt + "$" + key,
		"$5$rounds=1000000$0123456789abcdef$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
	} {
		if err := passhash.Check(hash); err != nil {
			t.Errorf("Check(%q) = %v", hash, err)
		}
	}
}

func TestLongPasswords(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, passhash.Config{})
	// bcrypt of seventy-two bytes and more, made by libxcrypt: what follows the first seventy-two does not count there.
	const hash = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe"
	for _, tt := range []struct {
		name     string
		password string
		want     bool
	}{
		{"seventy-two", strings.Repeat("a", 72), true},
		{"more", strings.Repeat("a", 100), true},
		{"seventy-one", strings.Repeat("a", 71), false},
		{"the longest", strings.Repeat("a", passhash.MaxPassword), true},
		{"longer", strings.Repeat("a", passhash.MaxPassword+1), false},
		{"huge", strings.Repeat("a", 10<<20), false},
	} {
		if ok, err := v.Verify(t.Context(), hash, tt.password); ok != tt.want || err != nil {
			t.Errorf("%s: Verify = %v, %v, want %v", tt.name, ok, err, tt.want)
		}
	}
	if got := v.Stats().Runs; got != 6 {
		t.Errorf("%d hashes were computed, want 6", got)
	}
	const long = "$5$rounds=1000$0123456789abcdef$SySDw/QVT.foGtmhPBFgWYM94utXZo8ci5Egn4A6lZC"
	if ok, err := v.Verify(t.Context(), long, strings.Repeat("pässwörd", 40)); !ok || err != nil {
		t.Errorf("SHA-crypt of a long password: %v, %v", ok, err)
	}
}

// TestUnknownUsersCostAsMuch: the stand-in has the shape of what was verified last, or of what is configured, and matches
// nothing.
func TestUnknownUsersCostAsMuch(t *testing.T) {
	t.Parallel()
	for _, tt := range vectors {
		v := newVerifier(t, passhash.Config{})
		if got := v.Shape(); got != "bcrypt $2b$12" {
			t.Fatalf("at first: %s", got)
		}
		if ok, err := v.Verify(t.Context(), tt.hash, tt.password); !ok || err != nil {
			t.Fatalf("%s: Verify = %v, %v", tt.name, ok, err)
		}
		want := newVerifier(t, passhash.Config{Like: tt.hash})
		if v.Shape() != want.Shape() || v.Shape() == "bcrypt $2b$12" {
			t.Errorf("%s: unknown users cost %s, want %s", tt.name, v.Shape(), want.Shape())
		}
		for _, v := range []*passhash.Verifier{v, want} {
			before := v.Stats().Runs
			if err := v.Spend(t.Context(), tt.password); err != nil || v.Stats().Runs != before+1 {
				t.Errorf("%s: Spend = %v after %d hashes", tt.name, err, v.Stats().Runs-before)
			}
			if ok, err := v.StandIn(tt.password); ok || err != nil {
				t.Errorf("%s: the stand-in matches: %v, %v", tt.name, ok, err)
			}
		}
	}
}

func TestWhatIsConfiguredStays(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, passhash.Config{Like: "$5$rounds=1234$rndsalt$bEdLKXpD1dsCwTD7gMkYnFx0mRhL.0rh/boZbPKLm01"})
	if ok, err := v.Verify(t.Context(), vectors[0].hash, vectors[0].password); !ok || err != nil {
		t.Fatalf("Verify = %v, %v", ok, err)
	}
	if got := v.Shape(); got != "sha256-crypt 1234" {
		t.Errorf("unknown users cost %s", got)
	}
	if _, err := passhash.New(passhash.Config{Like: "plain"}); !errors.Is(err, passhash.ErrKind) {
		t.Errorf("New like plain text = %v", err)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, passhash.Config{Concurrent: 1, Queue: -1, Like: vectors[0].hash})
		hash := "$2b$10$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
		var group sync.WaitGroup
		var mu sync.Mutex
		counts := map[bool]int{}
		for range 50 {
			group.Go(func() {
				_, err := v.Verify(t.Context(), hash, horse)
				if err != nil && !errors.Is(err, passhash.ErrBusy) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				counts[err != nil]++
			})
		}
		group.Wait()
		if counts[false] == 0 || counts[true] == 0 || uint64(counts[true]) != v.Stats().Busy {
			t.Errorf("%d were served and %d turned away (%+v)", counts[false], counts[true], v.Stats())
		}
		if err := v.Spend(t.Context(), horse); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestWhoLeavesIsNotServed(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, passhash.Config{})
	cause := errors.New("the client went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, hash := range []string{vectors[0].hash, "plain"} {
		if ok, err := v.Verify(ctx, hash, vectors[0].password); ok || !errors.Is(err, cause) {
			t.Errorf("Verify = %v, %v, want %v", ok, err, cause)
		}
	}
	if err := v.Spend(ctx, "x"); !errors.Is(err, cause) {
		t.Errorf("Spend = %v, want %v", err, cause)
	}
	if diff := cmp.Diff(turns.Stats{}, v.Stats()); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
}

// FuzzVerify: whatever the text, the answer comes soon; and a text is a hash of one password at most.
func FuzzVerify(f *testing.F) {
	for _, tt := range vectors {
		f.Add(tt.hash, tt.password)
	}
	f.Add("$scrypt$ln=31,r=32768,p=32768$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "x")
	f.Add("$argon2id$v=19$m=2147483647,t=10,p=64$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "x")
	v, err := passhash.Cheap()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, hash, password string) {
		ok, err := v.Verify(t.Context(), hash, password)
		if err != nil && (ok || !errors.Is(err, passhash.ErrKind) && !errors.Is(err, passhash.ErrFormat) && !errors.Is(err, passhash.ErrCost)) {
			t.Fatalf("Verify = %v, %v", ok, err)
		}
		if !ok {
			return
		}
		if other, err := v.Verify(t.Context(), hash, "x"+password); other || err != nil {
			t.Errorf("%q is a hash of %q and of more: %v", hash, password, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := newVerifier(b, passhash.Config{})
	for _, i := range []int{0, 5, 8, 15, 24} {
		b.Run(strings.ReplaceAll(vectors[i].name, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := v.Verify(b.Context(), vectors[i].hash, vectors[i].password); !ok || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
