// SPDX-License-Identifier: Apache-2.0

package adapterauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

const (
	asksName = `{"challenge":{"fields":[{"name":"user","label":"Customer number","required":true,"input_mode":"numeric"}],
		"message":"Welcome","data":{"hint":"8 digits"}},"state":"one"}`
	asksCode = `{"challenge":{"fields":[{"name":"code","label":"Code","type":"password","autocomplete":"one-time-code","required":true}],
		"message":"We sent you a code"},"state":"two"}`
	asksAgain = `{"challenge":{"fields":[{"name":"code","label":"Code","type":"password","required":true}],
		"message":"That code is wrong","error":true},"state":"three"}`
	isAlice = `{"identity":{"id":"12345678","name":"Alice","amr":["pwd","otp"],"device":"phone-7","attributes":{"branch":"North"}}}`
	says404 = `{"refused":{"reason":"no_such_customer"}}`
)

// linker makes the id of the back end the subject.
type linker struct{}

func (linker) Link(_ context.Context, users string, identity realm.Identity) (string, error) {
	return "usr_" + users + "_" + identity.ExternalID, nil
}

func alice() realm.Result {
	return realm.Result{
		Status: realm.Accepted, Account: "usr_partner_12345678",
		Identity: realm.Identity{
			Subject: "usr_partner_12345678", Name: "Alice", AMR: []string{"pwd", "otp"}, Device: "phone-7",
			Attributes: map[string]string{"branch": "North"},
		},
	}
}

func wantResult(t *testing.T, got realm.Attempt, want realm.Result) {
	t.Helper()
	if diff := cmp.Diff(realm.Attempt{Result: want}, got); diff != "" {
		t.Errorf("unexpected attempt (-want +got):\n%s", diff)
	}
}

func wantFields(t *testing.T, got realm.Attempt, message string, want ...string) {
	t.Helper()
	if got.Challenge == nil {
		t.Fatalf("nothing is asked: %+v", got.Result)
	}
	var names []string
	for _, f := range got.Challenge.Fields {
		if f.Type != "hidden" {
			names = append(names, f.Name)
		}
	}
	if !slices.Equal(names, want) || got.Challenge.Message != message {
		t.Errorf("asked for %v with %q, want %v with %q", names, got.Challenge.Message, want, message)
	}
}

func TestOneRound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		want       realm.Result
	}{
		{"known by the address", isAlice, alice()},
		{"refused", says404, realm.Result{Status: realm.Refused, Reason: "no_such_customer"}},
		{"refused with a message", `{"refused":{"reason":"shut","message":"Open from nine to five"}}`,
			realm.Result{Status: realm.Refused, Reason: "shut", Notice: &realm.Notice{Text: "Open from nine to five"}}},
		{"refused for a while", `{"refused":{"retry_after":30}}`, realm.Result{Status: realm.Throttled, RetryAfter: 30 * time.Second}},
		{"refused and nothing said", `{"refused":{}}`, realm.Result{Status: realm.Refused}},
		{"somebody without an id", `{"identity":{"name":"Alice"}}`, realm.Result{Status: realm.Refused, Reason: "no_subject"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, b := newRealm(t, adapterauth.Config{}, tt.says)
			p.in = realm.Input{ClientIP: "192.0.2.7", Locale: "nl", Hint: "al"}
			wantResult(t, p.begin(), tt.want)
			if want := `{"realm":"partner","round":1,"state":"","answers":null,"client_ip":"192.0.2.7","locale":"nl","subject":"","hint":"al"}`; b.raw[0] != want {
				t.Errorf("the back end is asked %s, want %s", b.raw[0], want)
			}
		})
	}
}

func TestThreeRounds(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{Template: "partner.html", Refused: "No"}, asksName, asksCode, asksAgain, isAlice)
	p.in.ClientIP = "192.0.2.7"
	first := p.begin()
	want := &realm.Challenge{
		Fields: []realm.Field{
			{Name: "user", Label: "Customer number", InputMode: "numeric", Required: true}, {Name: "round", Label: "round", Type: "hidden"},
		},
		Message: "Welcome", Data: map[string]string{"hint": "8 digits"}, Template: "partner.html", Refused: "No", Submit: "login.continue", Further: true,
	}
	mark := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Value" }, cmp.Ignore())
	if diff := cmp.Diff(want, first.Challenge, mark, cmpopts.IgnoreFields(realm.Challenge{}, "State")); diff != "" {
		t.Errorf("unexpected challenge (-want +got):\n%s", diff)
	}
	second := p.answer("user", "12345678", "admin", "yes")
	wantFields(t, second, "We sent you a code", "code")
	if !second.Challenge.Further {
		t.Error("a further question looks like a mistake")
	}
	third := p.answer("code", "000000")
	wantFields(t, third, "That code is wrong", "code")
	if third.Challenge.Further {
		t.Error("a mistake looks like a further question")
	}
	wantResult(t, p.answer("code", "123456", "user", "87654321"), alice())

	states := []string{"", "one", "two", "three"}
	answers := []map[string]string{nil, {"user": "12345678"}, {"code": "000000"}, {"code": "123456"}}
	for i, q := range b.questions() {
		want := question{Realm: "partner", Round: i + 1, State: &states[i], Answers: answers[i], ClientIP: "192.0.2.7"}
		if diff := cmp.Diff(want, q); diff != "" {
			t.Errorf("question %d (-want +got):\n%s", i+1, diff)
		}
	}
	if strings.Contains(fmt.Sprint(second.Challenge.Fields, third.Challenge.Fields, second.Challenge.Data), "two") {
		t.Error("the state of the back end is in what is asked")
	}
}

// Nothing but what is asked now, and is there, reaches the back end.
func TestAnswersThatReachNobody(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{}, asksName, asksCode, asksAgain, isAlice)
	p.begin()
	wantFields(t, p.answer(), "login.missing", "user")
	wantFields(t, p.answer("user", ""), "login.missing", "user")
	wantFields(t, p.answer("user", "a\x00b"), "login.missing", "user")
	wantFields(t, p.answer("user", strings.Repeat("x", 4097)), "login.missing", "user")
	old := p.fields("user", "12345678")
	if len(b.questions()) != 1 {
		t.Fatal("the back end was asked about answers that were none")
	}
	wantFields(t, p.try("partner", old), "We sent you a code", "code")
	first := p.fields("code", "000000")

	wantFields(t, p.try("partner", old), "login.answered", "code")
	wantFields(t, p.try("partner", map[string]string{"code": "123456"}), "login.answered", "code")
	wantFields(t, p.try("partner", map[string]string{"code": "123456", "round": "rnd_x"}), "login.answered", "code")
	wantFields(t, p.try("partner", nil), "We sent you a code", "code") // the page is loaded anew
	if len(b.questions()) != 2 {
		t.Fatal("the back end was asked about answers to another challenge")
	}
	wantFields(t, p.try("partner", first), "That code is wrong", "code")
	wantFields(t, p.try("partner", first), "login.answered", "code") // the same field, in the round before
	wantResult(t, p.answer("code", "123456"), alice())
}

// Answers that are sent twice at once: the second finds the state spent, and leaves alone what the first leads to.
func TestAnswersAtOnce(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{}, asksName, asksCode, asksName)
	p.begin()
	answers := p.fields("user", "12345678")
	p.in.Spent = true // by another request that is under way
	got := p.try("partner", answers)
	wantFields(t, got, "login.answered")
	if got.Challenge.State != nil || len(got.Challenge.Fields) != 0 {
		t.Errorf("what the first answer leads to would be lost: %+v", got.Challenge)
	}
	if len(b.questions()) != 1 {
		t.Error("the back end was asked twice")
	}
	p.in.Spent = false
	wantFields(t, p.try("partner", answers), "We sent you a code", "code")

	// What was spent and led to nothing is begun anew, by the page's button or by loading the page.
	p.in.Spent = true
	wantFields(t, p.try("partner", map[string]string{}), "Welcome", "user")
}

// After a refusal it begins again.
func TestAfterARefusal(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{}, asksName, says404, asksName)
	p.begin()
	wantResult(t, p.answer("user", "12345678"), realm.Result{Status: realm.Refused, Reason: "no_such_customer"})
	wantFields(t, p.begin(), "Welcome", "user")
	last := b.questions()[2]
	if last.Round != 1 || *last.State != "" || last.Answers != nil {
		t.Errorf("the back end is asked %+v, want a first round", last)
	}
}

// Answers to something that was never asked are no answers, and who sent them is asked.
func TestAnswersToNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, message string
		state         []byte
		answers       map[string]string
	}{
		{"nothing kept", "login.answered", nil, map[string]string{"code": "123456", "round": "rnd_1"}},
		{"nothing kept and no mark", "Welcome", nil, map[string]string{"code": "123456"}},
		{"what cannot be read", "login.answered", []byte("{"), map[string]string{"code": "123456", "round": "rnd_1"}},
		{"what says nothing", "login.answered", []byte("{}"), map[string]string{"code": "123456", "round": ""}},
		{"no mark kept", "login.answered", []byte(`{"round":1}`), map[string]string{"code": "123456", "round": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, b := newRealm(t, adapterauth.Config{}, asksName)
			p.in.State = tt.state
			if tt.answers["round"] == "" {
				tt.message = "Welcome"
			}
			wantFields(t, p.try("partner", tt.answers), tt.message, "user")
			if q := b.questions()[0]; q.Round != 1 || q.Answers != nil {
				t.Errorf("the back end is asked %+v", q)
			}
		})
	}
}

// The rounds have an end.
func TestTooManyRounds(t *testing.T) {
	t.Parallel()
	for rounds, asked := range map[int]int{1: 1, 2: 2, 0: adapterauth.DefaultRounds} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			t.Parallel()
			p, b := newRealm(t, adapterauth.Config{Rounds: rounds}, slices.Repeat([]string{asksAgain}, asked+1)...)
			got := p.begin()
			for got.Challenge != nil {
				got = p.answer("code", "000000")
			}
			wantResult(t, got, realm.Result{Status: realm.Refused, Reason: "too_many_rounds"})
			if n := len(b.questions()); n != asked {
				t.Errorf("the back end was asked %d times, want %d", n, asked)
			}
		})
	}
}

// A challenge without fields has a button alone.
func TestNothingToFillIn(t *testing.T) {
	t.Parallel()
	p, b := newRealm(t, adapterauth.Config{}, `{"challenge":{"message":"Approve on your phone"}}`, isAlice)
	wantFields(t, p.begin(), "Approve on your phone")
	wantResult(t, p.answer(), alice())
	if q := b.questions()[1]; q.Answers == nil || len(q.Answers) != 0 {
		t.Errorf("the answers are %v, want none, and not null", q.Answers)
	}
}

// What people typed is shown again when something is missing; secrets are not, and what the back end filled in is.
func TestWhatWasTypedIsShownAgain(t *testing.T) {
	t.Parallel()
	p, _ := newRealm(t, adapterauth.Config{}, `{"challenge":{"fields":[{"name":"a","label":"A","value":"from the back end"},
		{"name":"b","label":"B","type":"password"},{"name":"c","label":"C","required":true}]}}`)
	values := func(a realm.Attempt) string {
		var all []string
		for _, f := range a.Challenge.Fields[:3] {
			all = append(all, f.Value)
		}
		return strings.Join(all, "|")
	}
	if got := values(p.begin()); got != "from the back end||" {
		t.Errorf("the fields hold %q", got)
	}
	if got := values(p.answer("a", "mine", "b", "secret")); got != "mine||" {
		t.Errorf("the fields hold %q", got)
	}
}

// The back end is told who is known, and can prove things about nobody else.
func TestASubjectThatIsKnown(t *testing.T) {
	t.Parallel()
	const known = "usr_again_12345678"
	for _, tt := range []struct {
		name, says string
		want       realm.Result
	}{
		{"the same", isAlice, realm.Result{Status: realm.Accepted}},
		{"nobody", `{"identity":{"amr":["otp"]}}`, realm.Result{Status: realm.Accepted}},
		{"another", `{"identity":{"id":"87654321"}}`, realm.Result{Status: realm.Refused, Reason: "another_user"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, b := newRealm(t, adapterauth.Config{}, asksCode, tt.says)
			p.in.Subject = known
			p.try("again", nil)
			got := p.try("again", p.fields("code", "1")).Result
			if got.Status != tt.want.Status || got.Reason != tt.want.Reason || got.Identity.ExternalID != "" {
				t.Errorf("Try = %+v, want %+v", got, tt.want)
			}
			for _, q := range b.questions() {
				if q.Subject != known || q.Realm != "again" {
					t.Errorf("the back end is told of %q in %q", q.Subject, q.Realm)
				}
			}
		})
	}
}

// Credentials are for another login module; where there is none, that is a fault.
func TestCredentialsForAnotherModule(t *testing.T) {
	t.Parallel()
	const says = `{"credentials":{"username":"alice","password":"secret"}}`
	p, _ := newRealm(t, adapterauth.Config{}, says, says, says404, isAlice)
	if attempt, err := p.attempt("partner", nil); err == nil || attempt.Result.Status != "" {
		t.Errorf("Try = %+v, %v", attempt, err)
	}
	other := &module{}
	p.engine = engine(t, p.auth, other)
	p.in = realm.Input{ClientIP: "192.0.2.7", Locale: "nl"}
	wantResult(t, p.begin(), realm.Result{Status: realm.Refused, Reason: "by the module"})
	want := realm.Credentials{Values: map[string]string{"username": "alice", "password": "secret"}, Realm: "partner", ClientIP: "192.0.2.7", Locale: "nl"}
	if diff := cmp.Diff([]realm.Credentials{want}, other.saw); diff != "" {
		t.Errorf("unexpected credentials (-want +got):\n%s", diff)
	}
	wantResult(t, p.begin(), realm.Result{Status: realm.Refused, Reason: "no_such_customer"})
	if len(other.saw) != 1 {
		t.Error("the module is asked about somebody whom the back end refused")
	}
	p.begin()
	if last := other.saw[len(other.saw)-1]; last.Values != nil || last.Identity == nil {
		t.Errorf("the module sees %+v", last)
	}
}

type module struct{ saw []realm.Credentials }

func (m *module) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	m.saw = append(m.saw, c)
	return realm.Result{Status: realm.Refused, Reason: "by the module"}, nil
}

// A suggestion that is no text, or is long, is nobody's.
func TestHints(t *testing.T) {
	t.Parallel()
	for hint, want := range map[string]string{"alice": "alice", "a\x00": "", strings.Repeat("a", 257): ""} {
		p, b := newRealm(t, adapterauth.Config{}, isAlice)
		p.in.Hint = hint
		p.begin()
		if got := b.questions()[0].Hint; got != want {
			t.Errorf("the hint is %q, want %q", got, want)
		}
	}
}

// Whatever a back end does that is no answer: an error, and nobody is let in, however often it is tried.
func TestBackEndsThatDoNotWork(t *testing.T) {
	t.Parallel()
	says := func(status int, kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text) // it may be more than anybody reads
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"down", says(http.StatusServiceUnavailable, "application/json", isAlice)},
		{"broken", says(http.StatusInternalServerError, "application/json", isAlice)},
		{"a page", says(http.StatusOK, "text/html", "<h1>Welcome</h1>")},
		{"no JSON", says(http.StatusOK, "application/json", "welcome")},
		{"nothing", says(http.StatusOK, "application/json", "")},
		{"too much", says(http.StatusOK, "application/json", isAlice+strings.Repeat(" ", 64<<10))},
		{"says nothing we know", says(http.StatusOK, "application/json", `{"accepted":true}`)},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }},
		{"slow", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server sees that its caller has left when there is nothing left to read
			<-r.Context().Done()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPerson(t, adapterauth.Config{}, callout.Config{Timeout: 100 * time.Millisecond}, tt.handler)
			for range 2 {
				attempt, err := p.attempt("partner", nil)
				if err == nil || attempt.Challenge != nil || attempt.Result.Status != "" {
					t.Errorf("Try = %+v, %v", attempt, err)
				}
				if err != nil && strings.Contains(err.Error(), "Alice") {
					t.Errorf("the error repeats the answer: %v", err)
				}
			}
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	good := func() adapterauth.Config { return adapterauth.Config{Backend: broken{}} }
	if _, err := adapterauth.New(good()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*adapterauth.Config){
		"no back end": func(c *adapterauth.Config) { c.Backend = nil }, "negative rounds": func(c *adapterauth.Config) { c.Rounds = -1 },
		"too many rounds":   func(c *adapterauth.Config) { c.Rounds = adapterauth.MaxRounds + 1 },
		"a long text":       func(c *adapterauth.Config) { c.Refused = strings.Repeat("x", 1025) },
		"a text of no text": func(c *adapterauth.Config) { c.Refused = "\xff" },
	} {
		c := good()
		spoil(&c)
		if _, err := adapterauth.New(c); err == nil {
			t.Errorf("New works with %s", name)
		}
	}
}

type broken struct{}

func (broken) Post(context.Context, any) ([]byte, error) { return nil, errors.New("the line is dead") }

// Too much to keep is a fault of the back end's, and nothing is asked that could not be answered.
func TestTooMuchToKeep(t *testing.T) {
	t.Parallel()
	field := func(i int) string {
		return fmt.Sprintf(`{"name":"f%d","label":"x","value":%q}`, i, strings.Repeat("v", 4096))
	}
	for n, good := range map[int]bool{1: true, 6: false} {
		var fields []string
		for i := range n {
			fields = append(fields, field(i))
		}
		p, _ := newRealm(t, adapterauth.Config{}, `{"challenge":{"fields":[`+strings.Join(fields, ",")+`]}}`)
		if attempt, err := p.attempt("partner", nil); (err == nil) != good || (attempt.Challenge != nil) != good {
			t.Errorf("%d fields: Try = %+v, %v", n, attempt, err)
		}
	}
}
