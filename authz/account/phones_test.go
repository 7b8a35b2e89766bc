// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// drawer is where the test's phones are: by user, and one registration of each.
type drawer struct {
	mu     sync.Mutex
	phones map[string][]account.Phone
	adding map[string]*account.Registration
	digits string
	fail   error
	did    []string
}

const activation = "AAAAA-BBBBB-CCCCC-DDDDD"

func newDrawer() *drawer {
	at := time.Date(2026, time.March, 14, 9, 30, 0, 0, time.UTC)
	return &drawer{
		digits: "123456", adding: map[string]*account.Registration{}, phones: map[string][]account.Phone{
			faces.Alice: {{ID: "dev_alice", Name: "Alice’s <phone>", Model: "Pixel 9", App: "bank", Status: "active", Since: at}},
			faces.Bob:   {{ID: "dev_bob", Model: "iPhone 17", App: "bank", Status: "active", Since: at}},
		},
	}
}

// begin guards, and returns the failure that is set.
func (d *drawer) begin(ctx context.Context, user, what string) (func(), error) {
	d.mu.Lock()
	if what != "" {
		a := audit.ActorOf(ctx)
		d.did = append(d.did, fmt.Sprintf("%s %s by %s from %s in %s", user, what, a.By, a.ClientIP, a.RequestID))
	}
	return d.mu.Unlock, d.fail
}

func (d *drawer) Of(ctx context.Context, user string) (account.Owned, error) {
	done, err := d.begin(ctx, user, "")
	defer done()
	owned := account.Owned{
		Phones: slices.Clone(d.phones[user]), Apps: []account.App{{ID: "bank", Name: "The Bank"}},
		Operations: []account.Operation{{Kind: "authorisation", State: "approved", Title: "Pay <10>"}},
	}
	if r := d.adding[user]; r != nil {
		owned.Adding = r.ID
	}
	return owned, err
}

func (d *drawer) at(user, phone string) (int, error) {
	if i := slices.IndexFunc(d.phones[user], func(p account.Phone) bool { return p.ID == phone }); i >= 0 {
		return i, nil
	}
	return 0, account.ErrGone
}

func (d *drawer) Rename(ctx context.Context, user, phone, name string) error {
	done, err := d.begin(ctx, user, "rename "+phone)
	defer done()
	if err != nil || name == "" {
		return errors.Join(err, account.ErrName)
	}
	i, err := d.at(user, phone)
	if err == nil {
		d.phones[user][i].Name = name
	}
	return err
}

func (d *drawer) Remove(ctx context.Context, user, phone string) error {
	done, err := d.begin(ctx, user, "remove "+phone)
	defer done()
	if err != nil {
		return err
	}
	i, err := d.at(user, phone)
	if err == nil {
		d.phones[user] = slices.Delete(d.phones[user], i, i+1)
	}
	return err
}

func (d *drawer) Begin(ctx context.Context, user, app string) (string, error) {
	done, err := d.begin(ctx, user, "begin "+app)
	defer done()
	if err != nil {
		return "", err
	}
	d.adding[user] = &account.Registration{
		ID: "op_" + user, App: app, Stage: account.Waiting, Code: activation, QR: "gatehouse://enroll?code=" + activation, TriesLeft: 3,
	}
	return "op_" + user, nil
}

func (d *drawer) Find(ctx context.Context, user, id string) (account.Registration, error) {
	done, err := d.begin(ctx, user, "")
	defer done()
	r := d.adding[user]
	if err == nil && (r == nil || r.ID != id) {
		return account.Registration{}, account.ErrGone
	}
	if err != nil {
		return account.Registration{}, err
	}
	return *r, nil
}

func (d *drawer) Confirm(ctx context.Context, user, id, digits string) error {
	done, err := d.begin(ctx, user, "confirm "+id+" "+digits)
	defer done()
	r := d.adding[user]
	switch {
	case err != nil:
		return err
	case digits == d.digits:
		r.Stage = account.Held
	default:
		r.Stage, r.TriesLeft = account.Wrong, r.TriesLeft-1
		if r.TriesLeft == 0 {
			r.Stage = account.Refused
		}
	}
	return nil
}

func (d *drawer) Stop(ctx context.Context, user, id string) error {
	done, err := d.begin(ctx, user, "stop "+id)
	defer done()
	if err == nil {
		d.adding[user].Stage = account.Refused
	}
	return err
}

// stage has the outside world bring a registration somewhere.
func (d *drawer) stage(user string, s account.Stage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.adding[user].Stage, d.adding[user].Phone = s, "Pixel <9>"
	if s != account.Waiting {
		d.adding[user].Code, d.adding[user].QR = "", ""
	}
}

func (d *drawer) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func (d *drawer) done() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.did)
}

func newPhoneWorld(t *testing.T) (*faces.World, *drawer, *faces.Browser) {
	t.Helper()
	d := newDrawer()
	w := faces.New(t, faces.Options{Seed: 3, Phones: d, Registrations: d})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	return w, d, b
}

func wantSays(t *testing.T, p *faces.Page, says ...string) {
	t.Helper()
	for _, text := range says {
		if p.Status != http.StatusOK || !strings.Contains(p.Body, text) {
			t.Errorf("status %d; the page does not say %q:\n%s", p.Status, text, p.Body)
		}
	}
}

const by = " by user:" + faces.Alice + " from 192.0.2.7 in rid-test"

func TestPhonesStandBesideSessions(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	page := b.Get("/account")
	wantAccount(t, page, "Alice’s &lt;phone&gt;", "Pixel 9", "Active", "14 March 2026", "Add a phone", "Pay &lt;10&gt;", "Approved")
	if strings.Contains(page.Body, "iPhone 17") || strings.Contains(page.Body, "being added") {
		t.Error("the page shows what is Bob's, or what nobody adds")
	}
	if len(d.done()) != 0 {
		t.Errorf("looking did something: %q", d.done())
	}
}

// Without phones the page is what it was, and there is no other.
func TestWithoutPhones(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Get("/account")
	wantAccount(t, page)
	if strings.Contains(page.Body, "phone") {
		t.Error("the page speaks of phones")
	}
	wantAccount(t, b.Submit(page, "add_phone", "bank"))
	for _, path := range []string{"/account/phone?id=dev_alice", "/account/phones/add?registration=op_1"} {
		if got := b.Get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
	// Phones that are looked at and not added.
	d := newDrawer()
	w = faces.New(t, faces.Options{Phones: d})
	b = w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page = b.Get("/account")
	wantAccount(t, page, "Pixel 9")
	wantAccount(t, b.Submit(page, "add_phone", "bank"))
	if got := b.Get("/account/phones/add?registration=op_1"); got.Status != http.StatusNotFound || strings.Contains(page.Body, "Add a phone") || len(d.done()) != 0 {
		t.Errorf("phones can be added: %d, %q", got.Status, d.done())
	}
}

// TestPagesAboutPhonesAreForAFreshLogin: neither what they show nor what they do is there for a browser that was left open.
func TestPagesAboutPhonesAreForAFreshLogin(t *testing.T) {
	t.Parallel()
	w, d, b := newPhoneWorld(t)
	b.Submit(b.Get("/account"), "add_phone", "bank")
	phone, adding := "/account/phone?id=dev_alice", "/account/phones/add?registration=op_"+faces.Alice
	pages := []*faces.Page{b.Get("/account"), b.Get(phone), b.Get(phone + "&remove=ask"), b.Get(adding)}
	d.stage(faces.Alice, account.Confirm)
	before := d.done()
	w.Clock.Advance(faces.Fresh + time.Second)
	for _, path := range []string{phone, phone + "&remove=ask", adding} {
		wantLogin(t, b.Get(path))
		wantLogin(t, w.Browser(t).Get(path))
	}
	for i, fields := range [][]string{{"add_phone", "bank"}, {"name", "Mine"}, {"remove_phone", "dev_alice"}, {"digits", "123456"}} {
		wantLogin(t, b.Submit(pages[i], fields...))
	}
	if diff := cmp.Diff(before, d.done()); diff != "" {
		t.Errorf("something happened:\n%s", diff)
	}
}

// RFC 6749 10.12: another site has nothing added, renamed, removed or confirmed.
func TestForgedChangesOfPhones(t *testing.T) {
	t.Parallel()
	w, d, b := newPhoneWorld(t)
	b.Submit(b.Get("/account"), "add_phone", "bank")
	d.stage(faces.Alice, account.Confirm)
	before := d.done()
	eve := w.Browser(t)
	eve.SignIn(faces.BobLogin)
	_, theirs := eve.Get("/account").Form()
	for _, token := range []string{"", strings.Repeat("A", 43), theirs.Get("step")} {
		for path, fields := range map[string]url.Values{
			"/account":            {"add_phone": {"bank"}},
			"/account/phone":      {"id": {"dev_alice"}, "remove_phone": {"dev_alice"}, "name": {"Eve's"}},
			"/account/phones/add": {"registration": {"op_" + faces.Alice}, "digits": {"123456"}, "stop": {"stop"}},
		} {
			fields.Set("step", token)
			wantAccount(t, b.Post(path, fields))
		}
	}
	if diff := cmp.Diff(before, d.done()); diff != "" {
		t.Errorf("something happened:\n%s", diff)
	}
}

func TestAddAPhone(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	page := b.Submit(b.Get("/account"), "add_phone", "bank")
	wantSays(t, page, "Add a phone", activation, "<svg class=\"qr\"", `http-equiv="refresh"`)
	if strings.Contains(page.At, activation) {
		t.Error("the code stands in the address")
	}
	wantSays(t, b.Submit(page, "digits", "123456"), activation) // nothing to confirm yet
	wantAccount(t, b.Get("/account"), "A phone is being added")
	d.stage(faces.Alice, account.Confirm)
	page = b.Get(page.At)
	wantSays(t, page, "Compare the digits", "Pixel &lt;9&gt;", `name="digits"`)
	if strings.Contains(page.Body, activation) || strings.Contains(page.Body, "refresh") {
		t.Error("the page still shows the code, or is fetched anew while somebody types")
	}
	page = b.Submit(page, "digits", "111111")
	wantSays(t, page, "Those are not the digits.", "You have 2 tries left.")
	wantSays(t, b.Submit(page, "digits", "123 4-56"), "One more step", "Open the app on your other phone")
	wantSays(t, b.Submit(page, "digits", "123456"), "One more step") // once more changes nothing
	id := "op_" + faces.Alice
	want := []string{
		faces.Alice + " begin bank" + by, faces.Alice + " confirm " + id + " 111111" + by, faces.Alice + " confirm " + id + " 123456" + by,
	}
	if diff := cmp.Diff(want, d.done()); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
}

func TestHowAddingEnds(t *testing.T) {
	t.Parallel()
	for stage, says := range map[account.Stage]string{
		account.Done: "Your phone is ready", account.Held: "say yes to this one", account.Check: "has to approve it first",
		account.Expired: "That took too long", account.Refused: "The phone was not added",
	} {
		t.Run(string(stage), func(t *testing.T) {
			t.Parallel()
			_, d, b := newPhoneWorld(t)
			page := b.Submit(b.Get("/account"), "add_phone", "bank")
			d.stage(faces.Alice, stage)
			before := len(d.done())
			wantSays(t, b.Get(page.At), says)
			wantSays(t, b.Submit(page, "stop", "stop"), says) // what has ended stays as it is
			if got := d.done(); len(got) != before {
				t.Errorf("something was done: %q", got)
			}
		})
	}
}

func TestStopAdding(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	page := b.Submit(b.Get("/account"), "add_phone", "bank")
	wantSays(t, b.Submit(page, "stop", "stop"), "The phone was not added")
	if got := d.done(); got[len(got)-1] != faces.Alice+" stop op_"+faces.Alice+by {
		t.Errorf("what was done: %q", got)
	}
}

func TestRename(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	page := b.Get("/account/phone?id=dev_alice")
	wantSays(t, page, "Change a phone", "Alice’s &lt;phone&gt;")
	wantAccount(t, b.Submit(page, "name", "Work"), "has its new name", ">Work<")
	wantSays(t, b.Submit(page, "name", ""), "That name cannot be used")
	if got := d.done(); got[0] != faces.Alice+" rename dev_alice"+by {
		t.Errorf("what was done: %q", got)
	}
}

func TestRemoveAfterAQuestion(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	page := b.Get("/account/phone?id=dev_alice&remove=ask")
	wantSays(t, page, "Remove this phone?", "Keep it")
	if len(d.done()) != 0 {
		t.Fatalf("the question did something: %q", d.done())
	}
	page = b.Submit(page, "remove_phone", "dev_alice")
	wantAccount(t, page, "has been removed", "No phone is linked")
	if diff := cmp.Diff([]string{faces.Alice + " remove dev_alice" + by}, d.done()); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
}

func TestPhonesOfOthersAreSafe(t *testing.T) {
	t.Parallel()
	w, d, b := newPhoneWorld(t)
	bob := w.Browser(t)
	bob.SignIn(faces.BobLogin)
	bob.Submit(bob.Get("/account"), "add_phone", "bank")
	for _, path := range []string{
		"/account/phone?id=dev_bob", "/account/phone?id=dev_bob&remove=ask", "/account/phone", "/account/phones/add",
		"/account/phones/add?registration=op_" + faces.Bob,
	} {
		page := b.Get(path)
		wantAccount(t, page, "already ended")
		if strings.Contains(page.Body, activation) || strings.Contains(page.Body, "iPhone") {
			t.Errorf("%s shows what is Bob's", path)
		}
	}
	_, form := b.Get("/account").Form()
	for path, fields := range map[string]url.Values{
		"/account/phone":      {"id": {"dev_bob"}, "remove_phone": {"dev_bob"}},
		"/account/phones/add": {"registration": {"op_" + faces.Bob}, "stop": {"stop"}},
	} {
		fields.Set("step", form.Get("step"))
		wantAccount(t, b.Post(path, fields), "already ended")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.phones[faces.Bob]) != 1 || d.adding[faces.Bob].Stage != account.Waiting {
		t.Error("something of Bob's is gone")
	}
}

func TestWhatCannotBeDoneWithPhones(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		says string
	}{{account.ErrSingle, "you have one"}, {account.ErrNotNow, "cannot be added right now"}} {
		_, d, b := newPhoneWorld(t)
		page := b.Get("/account")
		d.breaks(fmt.Errorf("beginning: %w", tt.err))
		page = b.Submit(page, "add_phone", "bank")
		d.breaks(nil)
		wantAccount(t, b.Get(page.At), tt.says)
	}
}

func TestFailuresOfPhones(t *testing.T) {
	t.Parallel()
	_, d, b := newPhoneWorld(t)
	first := b.Get("/account")
	adding := b.Submit(first, "add_phone", "bank")
	phone := b.Get("/account/phone?id=dev_alice")
	for _, failure := range []struct {
		err    error
		status int
		again  string
	}{
		{errors.New("broken: " + faces.Leak), http.StatusInternalServerError, ""},
		{fmt.Errorf("%w: %s", storage.ErrUnavailable, faces.Leak), http.StatusServiceUnavailable, "2"},
		{fmt.Errorf("%w: %s", context.DeadlineExceeded, faces.Leak), http.StatusServiceUnavailable, "2"},
	} {
		d.breaks(failure.err)
		for i, page := range []*faces.Page{
			b.Get("/account"), b.Get(phone.At), b.Get(adding.At), b.Submit(first, "add_phone", "bank"),
			b.Submit(phone, "remove_phone", "dev_alice"), b.Submit(adding, "stop", "stop"),
		} {
			if page.Status != failure.status || page.Header.Get("Retry-After") != failure.again || strings.Contains(page.Body, faces.Leak) {
				t.Errorf("%d: %v: status %d:\n%s", i, failure.err, page.Status, page.Body)
			}
		}
	}
}

func TestCodesAreNotPrinted(t *testing.T) {
	t.Parallel()
	r := account.Registration{ID: "op_1", Code: activation, QR: activation}
	if text := fmt.Sprintf("%v %+v %#v %s", r, r, r, r); strings.Contains(text, activation) || !strings.Contains(text, "op_1") {
		t.Errorf("it prints as %s", text)
	}
}
