// SPDX-License-Identifier: Apache-2.0

package ltpa_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "have openssl write the vectors anew")

// The key file of the vectors. The shared key and its wrapped form are fixed: the second was computed by openssl as well.
const (
	keyPassword = "WebAS"
	secretHex   = "000102030405060708090a0b0c0d0e0f1011121314151617"
	wrappedKey  = "QSACoXdF28WhKrfdMmoAsyvnw2FvmRl43/cGjIn+mR4="
)

// What tokens of the vectors hold. They expire in 2100, at 4102444800000 milliseconds.
const (
	aliceData = `expire:4102444800000$u:user\:defaultRealm/CN=alice,O=example`
	expires   = "4102444800000"
)

// vector is a token of a kind, and how it is made.
type vector struct {
	name string
	data string
	// outer stands between the data and the signature.
	outer string
	// signed is what is signed instead of the data.
	signed string
	// once hashes once instead of twice, other signs with a key of somebody else.
	once, other bool
	// two leaves out the outer expiry.
	two bool
}

var vectors = []vector{
	{name: "alice"},
	{name: "bob of another realm", data: `expire:4102444800000$u:user\:otherRealm/CN=bob`},
	{name: "several attributes", data: `cacheKey:x\%y\$z$email:alice@example.com$expire:4102444800000$groups:a|b$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "every special character", data: `expire:4102444800000$u:user\:defaultRealm/CN=a\\, b\|c\%d\$e\:f`},
	{name: "letters", data: `expire:4102444800000$u:user\:defaultRealm/CN=Jürgen Ørsted`},
	{name: "outer expiry changed", outer: "1"},
	{name: "hashed once", once: true},
	{name: "signed by another key", other: true},
	{name: "somebody else's signature", signed: `expire:4102444800000$u:user\:defaultRealm/CN=mallory`},
	{name: "no inner expiry", data: `u:user\:defaultRealm/CN=alice,O=example`},
	{name: "two inner expiries", data: `expire:1|4102444800000$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "inner expiry is no number", data: `expire:never$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "inner expiry is negative", data: `expire:-1$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "inner expiry is huge", data: `expire:99999999999999999999$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "long expired", data: `expire:1000000000000$u:user\:defaultRealm/CN=alice,O=example`, outer: expires},
	{name: "good for years", data: `expire:5102444800000$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "unsorted", data: `u:user\:defaultRealm/CN=alice,O=example$expire:4102444800000`},
	{name: "an attribute twice", data: `expire:1$expire:4102444800000$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "an unescaped colon", data: `expire:4102444800000$u:user:defaultRealm/CN=alice,O=example`},
	{name: "an escape of nothing special", data: `expire:4102444800000$u:user\:defaultRealm/CN=\alice,O=example`},
	{name: "an empty value", data: `email:$expire:4102444800000$u:user\:defaultRealm/CN=alice,O=example`},
	{name: "no user", data: `expire:4102444800000`},
	{name: "a group", data: `expire:4102444800000$u:group\:defaultRealm/CN=admins`},
	{name: "a user without an id", data: `expire:4102444800000$u:user\:defaultRealm/`},
	{name: "a user without a realm", data: `expire:4102444800000$u:user\:alice`},
	{name: "a realm that only begins alike", data: `expire:4102444800000$u:user\:defaultRealm2/CN=alice`},
	{name: "two fields", two: true},
	{name: "outer expiry is no number", outer: "x"},
}

// goldens are the key file and the tokens that openssl has made, by their names.
type goldens struct {
	KeyFile string
	Tokens  map[string]string
}

// openssl runs the command with an input.
func openssl(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

// rsaKey is a key of openssl's.
type rsaKey struct {
	file       string
	n, d, p, q []byte
}

var textField = regexp.MustCompile(`(?m)^(modulus|privateExponent|prime1|prime2):\n((?: {4}[0-9a-f:]+\n)+)`)

func newRSA(t testing.TB, name string) rsaKey {
	t.Helper()
	k := rsaKey{file: filepath.Join(t.TempDir(), name)}
	openssl(t, nil, "genrsa", "-out", k.file, "1024")
	text := openssl(t, nil, "rsa", "-in", k.file, "-noout", "-text")
	for _, match := range textField.FindAllSubmatch(text, -1) {
		digits := strings.NewReplacer(" ", "", ":", "", "\n", "").Replace(string(match[2]))
		raw, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		switch string(match[1]) {
		case "modulus":
			k.n = pad(raw, 129)
		case "privateExponent":
			k.d = raw
		case "prime1":
			k.p = pad(raw, 65)
		case "prime2":
			k.q = pad(raw, 65)
		}
	}
	if len(k.n) != 129 || len(k.p) != 65 || len(k.q) != 65 || len(k.d) == 0 {
		t.Fatalf("openssl describes the key as\n%s", text)
	}
	return k
}

func pad(raw []byte, size int) []byte { return append(make([]byte, max(size-len(raw), 0)), raw...) }

// keyFile has openssl wrap the keys as a server does.
func keyFile(t testing.TB, k rsaKey) string {
	t.Helper()
	key := hex.EncodeToString(openssl(t, []byte(keyPassword), "dgst", "-sha1", "-binary")) + "00000000"
	wrap := func(plain []byte) string {
		return base64.StdEncoding.EncodeToString(openssl(t, plain, "enc", "-des-ede3-ecb", "-K", key))
	}
	secret, err := hex.DecodeString(secretHex)
	if err != nil {
		t.Fatal(err)
	}
	e := []byte{1, 0, 1}
	private := bytes.Join([][]byte{{0, 0, 0, byte(len(k.d))}, k.d, e, k.p, k.q}, nil)
	escape := strings.NewReplacer("=", `\=`, ":", `\:`).Replace
	var file strings.Builder
	file.WriteString("#IBM WebSphere Application Server key file\n#Sat Nov 21 22:22:50 UTC 2026\n")
	for _, property := range [][2]string{
		{"CreationDate", "Sat Nov 21 22:22:50 UTC 2026"}, {"CreationHost", "localhost"}, {"Realm", "defaultRealm"}, {"version", "1.0"},
		{"3DESKey", wrap(secret)}, {"PrivateKey", wrap(private)}, {"PublicKey", base64.StdEncoding.EncodeToString(append(bytes.Clone(k.n), e...))},
	} {
		fmt.Fprintf(&file, "com.ibm.websphere.%s=%s\n", map[bool]string{true: "", false: "ltpa."}[strings.HasPrefix(property[0], "Creation")]+property[0], escape(property[1]))
	}
	return file.String()
}

// token has openssl make a token.
func (v vector) token(t testing.TB, k, other rsaKey) string {
	t.Helper()
	data, outer, signed := v.data, v.outer, v.signed
	if data == "" {
		data = aliceData
	}
	if outer == "" {
		outer = expires
	}
	if signed == "" {
		signed = data
	}
	digest := []byte(signed)
	if !v.once {
		digest = openssl(t, digest, "dgst", "-sha1", "-binary")
	}
	if v.other {
		k = other
	}
	signature := base64.StdEncoding.EncodeToString(openssl(t, digest, "dgst", "-sha1", "-sign", k.file))
	plain := data + "%" + outer + "%" + signature
	if v.two {
		plain = data + "%" + signature
	}
	return seal(t, plain)
}

// seal has openssl encrypt a plain text.
func seal(t testing.TB, plain string) string {
	t.Helper()
	key := secretHex[:32]
	return base64.StdEncoding.EncodeToString(openssl(t, []byte(plain), "enc", "-aes-128-cbc", "-K", key, "-iv", key))
}

// generate has openssl make everything.
func generate(t testing.TB) goldens {
	t.Helper()
	k, other := newRSA(t, "key.pem"), newRSA(t, "other.pem")
	g := goldens{KeyFile: keyFile(t, k), Tokens: map[string]string{"no token in it": seal(t, "not a token")}}
	for _, v := range vectors {
		g.Tokens[v.name] = v.token(t, k, other)
	}
	return g
}

// Where the vectors are stored.
const keysFile, tokensFile = "testdata/ltpa.keys", "testdata/tokens.json"

// golden returns the stored vectors.
func golden(t testing.TB) goldens {
	t.Helper()
	keys, err := os.ReadFile(keysFile)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := os.ReadFile(tokensFile)
	if err != nil {
		t.Fatal(err)
	}
	g := goldens{KeyFile: string(keys)}
	if err := json.Unmarshal(tokens, &g.Tokens); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestVectorsOfOpenSSL has openssl make keys and tokens anew, and judges them as the stored ones.
func TestVectorsOfOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skipf("openssl makes the vectors: %v", err)
	}
	g := generate(t)
	if !strings.Contains(g.KeyFile, strings.ReplaceAll(wrappedKey, "=", `\=`)) {
		t.Errorf("openssl wraps the shared key otherwise:\n%s", g.KeyFile)
	}
	if *update {
		content, err := json.MarshalIndent(g.Tokens, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(
			os.WriteFile(tokensFile, append(content, '\n'), 0o600), os.WriteFile(keysFile, []byte(g.KeyFile), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	judgeAll(t, g)
}
