// SPDX-License-Identifier: Apache-2.0

package onegini_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/standard"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/tests/adapted"
	"github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

func init() { caddy.RegisterModule(new(memory)) }

// memory is a storage engine in memory: a store of its own for each name.
type memory struct {
	Name string `json:"name"`
}

func (*memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.storage.memory", New: func() caddy.Module { return new(memory) }}
}

func (m *memory) Key() (string, error) { return "memory:" + m.Name, nil }

func (*memory) Open(_ context.Context, o pool.Options) (storage.DB, error) {
	return memstore.Open(memstore.Config{Now: o.Now})
}

func (*memory) Sealer() (storage.Sealer, error) {
	return seal.New(seal.Key{ID: "test", Secret: []byte("0123456789abcdefghijklmnopqrstuv")})
}

const (
	team, keyID = "TEAM000001", "KEY0000001"
	account     = "AC00000000000000000000000000000000"
	gatewayFrom = "+15005550006"
	// stopped is a number whose owner wants no messages.
	stopped      = "+31687654321"
	portalSecret = "portal-secret-0123456789-0123456789"
)

// basics are the clients and the applications of every server here.
const basics = `
	scope read password
	default_scope read
	client portal {
		secret ` + portalSecret + `
		grants client_credentials
		scopes read gatehouse:users gatehouse:devices gatehouse:operations gatehouse:operations:numbers gatehouse:audit
		introspect
	}
	client plain {
		secret ` + portalSecret + `
		grants client_credentials
		scopes gatehouse:operations
	}
	client clerk {
		secret ` + portalSecret + `
		grants client_credentials
		scopes gatehouse:users
	}
	application bank {
		ios com.example.bank {
			push apple
		}
		enrollment {
			quarantine off
			custom face
		}
		pin {
			max_attempts 3
		}
	}
	application shop {
		ios com.example.shop
		enrollment {
			push_mode single
			quarantine off
		}
		pin {
			required off
		}
	}
	application vault {
		ios com.example.vault
		enrollment
	}`

const types = `
		type push {
			method push
			message en "Sign in"
			message nl "Aanmelden"
			resends 0
		}
		type push_pin {
			method push_pin
			message en "Sign in"
			fallback sms
		}
		type push_fingerprint {
			method push_fingerprint
			message en "Sign in"
		}
		type push_face {
			method push_custom face
			message en "Sign in"
		}
		type scan {
			method otp
			message en "Sign in"
		}
		type sms {
			method sms
			message en "Your code: {code}"
			origin login.example.com
		}
		type strict {
			method sms
			attempts 1
			resends 0
			message en "{code}"
		}
		type endless {
			method sms
			attempts 0
			message en "{code}"
		}
		type patient {
			method push
			message en "Sign in"
			fallback sms 5s
		}
		type brief {
			method push
			message en "Sign in"
			time_to_live 1s
		}
		type silent {
			method push
		}
		type signed {
			method push_pin
			message en "Sign in"
			signing
		}
		context_template en "{message} Device: {operating_system} {browser}"
		context_template nl "[message] Apparaat: [operating_system] [browser]"
`

// server is a whole one.
type server struct {
	url    string
	client *http.Client
	apple  *apns.Service
	twilio *twilio.Service
	// told are the bodies of callbacks to back.
	told chan string
	back string
}

// servers counts them: their stores have names.
var servers atomic.Int64

// Caddy keeps the state of what it provisions in variables of the process.
var provisioning sync.Mutex

// serve starts a server with what stands in "mobile", in which words stand for the carriers and for the address of callbacks.
func serve(t *testing.T, mobile string) *server {
	t.Helper()
	return serveWith(t, basics, mobile)
}

// serveWith starts one with other clients and applications.
func serveWith(t *testing.T, basics, mobile string) *server {
	t.Helper()
	var handler atomic.Pointer[caddyhttp.Server]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.Load().ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	s := &server{url: front.URL, client: front.Client(), told: make(chan string, 16)}
	back := httptest.NewServer(http.HandlerFunc(s.hear))
	t.Cleanup(back.Close)
	s.back = back.URL + "/done"
	config, err := s.configure(t, basics, mobile)
	must(t, err)
	ctx, err := provision(config)
	must(t, err)
	handler.Store(start(t, ctx))
	return s
}

// wrongly returns what a server says whose "mobile" nobody can start.
func wrongly(t *testing.T, mobile string) string {
	t.Helper()
	s := &server{url: "http://127.0.0.1:8080", back: "http://127.0.0.1:8081/done"}
	config, err := s.configure(t, basics, "mobile {"+mobile+"\n}")
	if err == nil {
		_, err = provision(config)
	}
	if err == nil {
		t.Fatalf("it is taken: %s", mobile)
	}
	return err.Error()
}

func (s *server) configure(t *testing.T, basics, mobile string) (*caddy.Config, error) {
	t.Helper()
	caddyfile := "{\n auto_https off\n gatehouse {\n issuer " + s.url + basics + "\n" + mobile + "\n }\n}\n" + s.url + " {\n authorization_server\n}\n"
	config, err := adapted.Config(s.carriers(t).Replace(caddyfile))
	if err != nil {
		return nil, err
	}
	var app map[string]json.RawMessage
	if err := json.Unmarshal(config.AppsRaw["gatehouse"], &app); err != nil {
		return nil, err
	}
	app["storage"] = json.RawMessage(`{"engine":"memory","name":"` + strconv.FormatInt(servers.Add(1), 10) + `"}`)
	config.AppsRaw["gatehouse"], err = json.Marshal(app)
	return config, err
}

// provision builds what a configuration says.
func provision(config *caddy.Config) (caddy.Context, error) {
	provisioning.Lock()
	defer provisioning.Unlock()
	return caddy.ProvisionContext(config)
}

// start starts what was built, but for listening, and returns what answers requests.
func start(t *testing.T, ctx caddy.Context) *caddyhttp.Server {
	t.Helper()
	module, err := ctx.App("gatehouse")
	must(t, err)
	app := module.(caddy.App)
	must(t, app.Start())
	t.Cleanup(func() { must(t, errors.Join(app.Stop(), module.(caddy.CleanerUpper).Cleanup())) })
	sites, err := ctx.App("http")
	must(t, err)
	for _, site := range sites.(*caddyhttp.App).Servers {
		return site
	}
	t.Fatal("there is no site")
	return nil
}

// carriers starts the services, and returns what stands for them in a configuration.
func (s *server) carriers(t *testing.T) *strings.Replacer {
	t.Helper()
	authority, err := loopback.NewAuthority()
	must(t, err)
	key, err := apns.NewKey(team, keyID)
	must(t, err)
	s.apple, err = apns.Start(apns.Config{Authority: authority, Now: time.Now, Keys: []*apns.Key{key}, Open: true})
	must(t, err)
	t.Cleanup(func() { _ = s.apple.Close() })
	s.twilio, err = twilio.Start(twilio.Config{
		Authority: authority, Now: time.Now, AccountSID: account, AuthToken: "token-s3cret", Senders: []string{gatewayFrom}, Stopped: []string{stopped},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.twilio.Close() })
	dir := t.TempDir()
	p8, err := key.P8()
	must(t, err)
	for name, content := range map[string][]byte{"ca.pem": authority.PEM(), "key.p8": p8} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return strings.NewReplacer("APPLE", `push apple {
		apns {
			team_id `+team+`
			key_id `+keyID+`
			key_file `+filepath.Join(dir, "key.p8")+`
			endpoint `+s.apple.URL+`
			ca_file `+filepath.Join(dir, "ca.pem")+`
		}
	}`, "TWILIO", `sms twilio {
		account_sid `+account+`
		auth_token token-s3cret
		from `+gatewayFrom+`
		endpoint `+s.twilio.URL+`
		ca_file `+filepath.Join(dir, "ca.pem")+`
		status_callback `+s.url+`/sms/reports/twilio/s3cret-segment-0123456789
	}`, "BACK", s.back)
}

// whole is what stands in "mobile" of a server that can do everything.
const whole = "mobile {" + types + `
	open 8 5
		APPLE
		TWILIO
		sms_limits {
			countries NL
			number 3
		}
		callback BACK {
			allow 127.0.0.0/8
		}
	}`

func (s *server) hear(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if json.NewDecoder(r.Body).Decode(&body) == nil && r.Header.Get("Gatehouse-Signature") != "" {
		s.told <- string(body)
	}
	w.WriteHeader(http.StatusNoContent)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
