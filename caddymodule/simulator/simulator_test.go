// SPDX-License-Identifier: Apache-2.0

package simulator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/simulator"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// kept returns a phone in a file of its own folder.
func kept(t *testing.T) (p *simulator.Phone, path string, state device.State) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "phone.json")
	p, err := simulator.NewPhone(path)
	if err != nil {
		t.Fatal(err)
	}
	state = device.State{Version: 1, Issuer: "https://auth.example.com", Device: "dev_1", Status: "active", Keys: "k1"}
	if err := p.Save(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	return p, path, state
}

// names are the files of a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPhoneIsKept(t *testing.T) {
	t.Parallel()
	p, path, state := kept(t)
	state.Status, state.Skew = "locked", 7
	if err := p.Save(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("others may read it: %v", info.Mode())
	}
	if got := names(t, filepath.Dir(path)); !cmp.Equal(got, []string{"phone.json"}) {
		t.Errorf("there are %q", got)
	}
	again, err := simulator.OpenPhone(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, state), asJSON(t, again.State)); diff != "" {
		t.Error(diff)
	}
	if err := again.Forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := simulator.OpenPhone(path); err == nil || !strings.Contains(err.Error(), "device enroll") {
		t.Errorf("of a phone that is gone it says: %v", err)
	}
	if err := again.Forget(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second time: %v", err)
	}
}

// TestSaveThatFails leaves the phone as it was, and nothing beside it: keys are in what would stay.
func TestSaveThatFails(t *testing.T) {
	t.Parallel()
	p, path, state := kept(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil { // a file cannot take its place
		t.Fatal(err)
	}
	if err := p.Save(t.Context(), state); err == nil || !strings.Contains(err.Error(), "saving the phone") {
		t.Errorf("%v", err)
	}
	if got := names(t, filepath.Dir(path)); !cmp.Equal(got, []string{"phone.json"}) {
		t.Errorf("it leaves %q", got)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := p.Save(t.Context(), state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its folder: %v", err)
	}
}

func TestOtherPhonesAreLeftAlone(t *testing.T) {
	t.Parallel()
	_, path, _ := kept(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(filepath.Dir(path), "link.json")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{path, dangling, filepath.Dir(path)} {
		if _, err := simulator.NewPhone(taken); err == nil || !strings.Contains(err.Error(), "a phone already") {
			t.Errorf("%s is taken: %v", taken, err)
		}
	}
	if _, err := simulator.NewPhone(filepath.Join(path, "below")); err == nil {
		t.Error("a phone below a file is taken")
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
}

func TestFilesThatAreNoPhone(t *testing.T) {
	t.Parallel()
	_, path, _ := kept(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, content string }{
		{"empty", ""},
		{"cut off", string(good[:len(good)/2])},
		{"something else", `{"id":"op_1","qr":"gatehouse://enroll"}`},
		{"of a later version", strings.Replace(string(good), `"v": 1,`, `"v": 2,`, 1)},
		{"without keys", `{"v":1,"state":{},"keys":null}`},
		{"a list", "[]"},
		{"two of them", string(good) + string(good)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "phone.json")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := simulator.OpenPhone(file)
			if err == nil || !strings.HasSuffix(err.Error(), "is not the file of a phone") {
				t.Errorf("it is taken for one: %v", err)
			}
			if len(tt.content) > 20 && strings.Contains(fmt.Sprint(err), tt.content[:20]) {
				t.Errorf("the error tells what is in it: %v", err)
			}
		})
	}
	if _, err := simulator.OpenPhone(t.TempDir()); err == nil || !strings.Contains(err.Error(), "reading the phone") {
		t.Errorf("a folder is taken for one: %v", err)
	}
}

func TestPrompts(t *testing.T) {
	t.Parallel()
	var shown strings.Builder
	s := simulator.Person(strings.NewReader("approve\n 42 \r\n258046\n864209"), &shown)
	for _, step := range []struct {
		name, want string
		ask        func(string) (string, error)
	}{
		{"a decision", "approve", s.Ask}, {"a number, without what is around it", "42", s.Ask}, {"a PIN", "258046", s.AskPIN},
		{"a new PIN, once and without the end of the line", "864209", s.NewPIN},
	} {
		got, err := step.ask("What: ")
		if err != nil || got != step.want {
			t.Errorf("%s: %q, %v", step.name, got, err)
		}
	}
	for _, ask := range []func(string) (string, error){s.Ask, s.AskPIN, s.NewPIN} {
		if got, err := ask("PIN: "); err == nil || got != "" || !strings.Contains(err.Error(), `asking "PIN": there is no answer on standard input`) {
			t.Errorf("at the end: %q, %v", got, err)
		}
	}
	if shown.Len() > 0 {
		t.Errorf("where nobody looks it shows %q", &shown)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	other := errors.New("the disk is full")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"tries are left", &device.RefusedError{Remaining: 2}, "the PIN or the number is wrong; 2 tries are left"},
		{"one is", &device.RefusedError{Remaining: 1}, "the PIN or the number is wrong; 1 try is left"},
		{"none is", fmt.Errorf("approving: %w", &device.RefusedError{Remaining: 0}), "wrong, and that was the last try"},
		{"that is not said", &device.RefusedError{Remaining: -1}, "refused"},
		{"not allowed", fmt.Errorf("fetching: %w", device.ErrNotAllowed), `fetching: not allowed to this device: it may be quarantined, not confirmed yet, or the question is not this phone's (see "device status")`},
		{"the message", device.ErrMessage, device.ErrMessage.Error() + ": the phone may be locked or disconnected at the server, or its clock is wrong"},
		{"gone", device.ErrGone, device.ErrGone.Error()},
		{"something else", other, "the disk is full"},
	} {
		if got := simulator.Explain(tt.err); got.Error() != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if err := simulator.Explain(nil); err != nil {
		t.Errorf("nothing is %v", err)
	}
	if err := simulator.Explain(device.ErrNotAllowed); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("%v is another error", err)
	}
}

func TestQuestion(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("─", 60) + "\n"
	expires := time.Date(2026, 11, 22, 12, 2, 0, 0, time.UTC)
	until := "\nuntil " + expires.Local().Format(time.TimeOnly)
	for _, tt := range []struct {
		name    string
		display envelope.Display
		want    string
	}{
		{"a title", envelope.Display{Title: "Log in", Kind: "authentication"}, "Log in (authentication)\n" + until + "\n"},
		{"all", envelope.Display{
			Title: "Pay Bob", Application: "bank", Kind: "authorisation", Content: "For the boat", NumberMatch: 6,
			Fields: []envelope.Field{{Label: "Amount", Value: "10.00", Currency: "EUR"}, {Label: "To", Value: "Bob"}},
		}, "Pay Bob (bank, authorisation)\n\nFor the boat\n  Amount           10.00 EUR\n  To               Bob\n" + until +
			"; enter the 6 digits that are shown where this began\n"},
		{"more to read", envelope.Display{Title: "Pay", Kind: "signature", Secure: "from your savings", Data: "order=7"},
			"Pay (signature)\n\nfrom your savings\n\norder=7\n" + until + "\n"},
	} {
		tt.display.Expires = expires.Unix()
		var got strings.Builder
		if err := simulator.WriteQuestion(&got, device.Question{Display: tt.display}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(line+tt.want+line, got.String()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestNeedsPIN(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		pin     *device.SealedSecret
		methods []string
		want    bool
	}{
		{"the PIN is asked for", new(device.SealedSecret), []string{"pin"}, true},
		{"the phone is enough", new(device.SealedSecret), []string{"possession", "pin"}, false},
		{"the phone has none", nil, []string{"pin"}, false},
	} {
		q := device.Question{Display: envelope.Display{Methods: tt.methods}}
		if got := simulator.NeedsPIN(q, device.State{PIN: tt.pin}); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestMistakes: what cannot be done is said before anything is sent or written.
func TestMistakes(t *testing.T) {
	t.Parallel()
	_, path, _ := kept(t)
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := envelope.NewActivationCode()
	if err != nil {
		t.Fatal(err)
	}
	code := fresh.Text()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ring"}, `unknown command "ring"`},
		{[]string{"enroll", "gatehouse://enroll"}, "which app this is"},
		{[]string{"enroll", "--application", "bank"}, "give the text of the QR code, or --issuer and --code"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com"}, "give the text of the QR code, or --issuer and --code"},
		{[]string{"enroll", "gatehouse://enroll", "--application", "bank", "--code", code}, "and not both"},
		{[]string{"enroll", "https://auth.example.com/", "--application", "bank"}, "invitation"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", "AAAAA"}, "code"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--push-service", "fcm"}, "belong together"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--push-subscribe", "https://push.example"}, "belong together"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--push-service", "a", "--push-address", "b", "--push-subscribe", "c"}, "belong together"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--file", path}, "a phone already"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code}, "there is no answer on standard input"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--pin=false", "--ca", notPEM}, "holds no certificate"},
		{[]string{"enroll", "--application", "bank", "--issuer", "https://auth.example.com", "--code", code, "--pin=false", "--ca", "nowhere.pem"}, "reading the certificate authority"},
		{[]string{"status"}, "there is no phone in"},
		{[]string{"release"}, "accepts 1 arg"},
		{[]string{"push", "fcm"}, "accepts 2 arg"},
		{[]string{"push", "browsers", "address", "--subscribe", "https://push.example"}, "accepts 1 arg"},
		{[]string{"approve", "a", "b"}, "accepts at most 1 arg"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := simulator.Command()
			cmd.SetIn(strings.NewReader(""))
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(append([]string{"--file", filepath.Join(dir, "phone.json")}, tt.args...))
			err := cmd.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it says %v", err)
			}
			if got := names(t, dir); len(got) > 0 {
				t.Errorf("it leaves %q", got)
			}
		})
	}
}
