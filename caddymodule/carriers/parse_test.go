// SPDX-License-Identifier: Apache-2.0

package carriers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const outward = "proxy http://proxy.example:3128\nca_file /ca.pem\ntime_out 3s\nplaces 7\n"

// outwardJSON is what the options of outward become.
const outwardJSON = `"proxy":"http://proxy.example:3128",` + calledJSON

const calledJSON = `"ca_file":"/ca.pem","time_out":3000000000,"places":7`

// TestParse: every option of every guest has a place in the JSON, under the name that the documentation gives it, and nothing else is
// there.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, id, text, want string }{
		{
			"apns", "gatehouse.push.apns", `apns {
				team_id T
				key_id K
				key_file /k.p8
				certificate_file /c.p12
				certificate_password {env.P}
				sandbox_endpoint https://s.example
				title_key TT
				body_key BB
				sound ding
				category C
				endpoint https://e.example
				` + outward + `}`,
			`{"team_id":"T","key_id":"K","key_file":"/k.p8","certificate_file":"/c.p12","certificate_password":"{env.P}",
			"sandbox_endpoint":"https://s.example","title_key":"TT","body_key":"BB","sound":"ding","category":"C",
			"endpoint":"https://e.example",` + outwardJSON + `}`,
		},
		{
			"fcm", "gatehouse.push.fcm", "fcm {\nservice_account_file /a.json\ntoken_host a.example b.example:444\nendpoint https://e.example\n" + outward + "}",
			`{"service_account_file":"/a.json","token_hosts":["a.example","b.example:444"],"endpoint":"https://e.example",` + outwardJSON + `}`,
		},
		{
			"webpush", "gatehouse.push.webpush", `webpush {
				vapid_key_file /new.pem
				vapid_key_file /old.pem /older.pem
				contact mailto:ops@example.com
				hosts *.example.com push.example
				allow 10.0.0.0/8
				allow 192.0.2.7
				declarative {
					title "A question"
					body "Tap to answer"
					navigate https://example.com/q
				}
				` + outward + `}`,
			`{"vapid_key_files":["/new.pem","/old.pem","/older.pem"],"contact":"mailto:ops@example.com","hosts":["*.example.com","push.example"],
			"allow":["10.0.0.0/8","192.0.2.7"],"declarative":{"title":"A question","body":"Tap to answer","navigate":"https://example.com/q"},` +
				outwardJSON + `}`,
		},
		{
			"webhook", "gatehouse.push.webhook",
			"webhook {\nurl https://own.example/push\nbasic_auth me {env.P}\nbearer {env.B}\nallow 10.0.0.1\nca_file /ca.pem\ntime_out 3s\nplaces 7\n}",
			`{"url":"https://own.example/push","user":"me","password":"{env.P}","bearer":"{env.B}","allow":["10.0.0.1"],` + calledJSON + `}`,
		},
		{
			"twilio", "gatehouse.sms.twilio", `twilio {
				account_sid A
				auth_token {env.T}
				key_sid K
				key_secret {env.S}
				from Example
				messaging_service M
				status_callback https://auth.example.com/sms/reports/twilio/x
				redact
				smart_encoded
				risk_check enable
				endpoint https://e.example
				` + outward + `}`,
			`{"account_sid":"A","auth_token":"{env.T}","key_sid":"K","key_secret":"{env.S}","from":"Example","messaging_service":"M",
			"status_callback":"https://auth.example.com/sms/reports/twilio/x","redact":true,"smart_encoded":true,"risk_check":"enable",
			"endpoint":"https://e.example",` + outwardJSON + `}`,
		},
		{"http", "gatehouse.sms.http", everyOption, everyOptionJSON},
		{"log", "gatehouse.sms.log", "log", `{}`},
		{"maxmind", "gatehouse.geolocation.maxmind", "maxmind /City.mmdb", `{"path":"/City.mmdb"}`},
		{"maxmind in a language", "gatehouse.geolocation.maxmind", "maxmind /City.mmdb fr", `{"path":"/City.mmdb","language":"fr"}`},
		{
			"a location service", "gatehouse.geolocation.http",
			"http https://geo.example {\nheader X-Key {env.K}\nheader X-Other o\ntime_out 3s\nca_file /ca.pem\n}",
			`{"url":"https://geo.example","header":{"X-Key":"{env.K}","X-Other":"o"},"time_out":3000000000,"ca_file":"/ca.pem"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			adapted, err := parse(t, c.id, c.text)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal([]byte(adapted), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

const everyOption = `http {
	url https://sms.example/{id}
	method PUT
	header X-Reference {id}
	header X-Other o
	format json
	body ` + "`{\"to\":\"{to}\",\"text\":\"{text}\"}`" + `
	exposed
	from Example
	number digits
	basic_auth me {env.P}
	bearer {env.B}
	api_key X-Api-Key {env.K}
	hmac {
		secret {env.S}
		field X-Signature
		prefix sha256=
		hash sha512
		encoding base64
		time_field X-Timestamp
	}
	answers {
		success 200 202
		accepted /status ok queued
		id /id
		retryable 429 503
		reason /error
		class bad_number number
		class spam blocked
	}
	receipts {
		format json
		list /receipts
		id /id
		state /state
		reason /why
		word DELIVRD delivered
		word UNDELIV failed
		class absent number
		hmac {
			secret {env.R}
			field X-Signature
		}
	}
	status_callback https://auth.example.com/sms/reports/http/x
	` + outward + `}`

const everyOptionJSON = `{
	"url":"https://sms.example/{id}","method":"PUT","header":{"X-Reference":"{id}","X-Other":"o"},"format":"json",
	"body":"{\"to\":\"{to}\",\"text\":\"{text}\"}","exposed":true,"from":"Example","number":"digits","user":"me","password":"{env.P}",
	"bearer":"{env.B}","key_field":"X-Api-Key","key":"{env.K}",
	"hmac":{"secret":"{env.S}","field":"X-Signature","prefix":"sha256=","hash":"sha512","encoding":"base64","time_field":"X-Timestamp"},
	"answers":{"success":[200,202],"accepted":"/status","accepted_words":["ok","queued"],"id":"/id","retryable":[429,503],"reason":"/error",
		"classes":{"bad_number":"number","spam":"blocked"}},
	"receipts":{"format":"json","list":"/receipts","id":"/id","state":"/state","reason":"/why",
		"words":{"DELIVRD":"delivered","UNDELIV":"failed"},"classes":{"absent":"number"},"hmac":{"secret":"{env.R}","field":"X-Signature"}},
	"status_callback":"https://auth.example.com/sms/reports/http/x",` + outwardJSON + `}`

// TestRefuses: what is wrong is refused, before anything is sent, by words that say what to do.
func TestRefuses(t *testing.T) {
	t.Parallel()
	bad := write(t, "bad.pem", []byte("s3cret nonsense"))
	const body = "body `{\"to\":\"{to}\",\"text\":\"{text}\"}`\n"
	for _, c := range []struct{ name, id, text, want string }{
		{"an option that is none", "push.apns", "apns {\nteam T\n}", `unknown option "team", expected one of: body_key`},
		{"an argument too many", "push.apns", "apns x {\n}", "wrong argument count"},
		{"no credential", "push.apns", "apns {\nteam_id TEAM000001\n}", "it needs a key_file with team_id and key_id"},
		{"two credentials", "push.apns", "apns {\nkey_file a\ncertificate_file b\n}", "or else a certificate_file"},
		{"no such file", "push.apns", "apns {\nkey_file /nowhere.p8\n}", "key_file: stat /nowhere.p8"},
		{"a file that is a folder", "push.apns", "apns {\nkey_file /\n}", "key_file: / is no file"},
		{"a file that is no key", "push.apns", "apns {\nteam_id TEAM000001\nkey_id KEY0000001\nkey_file " + bad + "\n}", "apns: "},
		{"a file that is no certificate", "push.apns", "apns {\ncertificate_file " + bad + "\n}", "apns: "},
		{"a placeholder that is none", "push.apns", "apns {\nteam_id {nope}\nkey_file x\n}", "team_id: "},
		{"a proxy that is none", "push.apns", "apns {\nproxy http://me:s3cret@%zz\nkey_file x\n}", "proxy: it is no address"},
		{"authorities that are none", "push.apns", "apns {\nca_file " + bad + "\nkey_file x\n}", "it holds no certificate in PEM"},
		{"the retired API of Google", "push.fcm", "fcm {\nserver_key AAAA\n}", "Google switched that API off in 2024"},
		{"no service account", "push.fcm", "fcm {\n}", "service_account_file <path>"},
		{"a file that is no account", "push.fcm", "fcm {\nservice_account_file " + bad + "\n}", "fcm: "},
		{"no VAPID key", "push.webpush", "webpush {\ncontact mailto:a@example.com\n}", "vapid_key_file <path>"},
		{"a file that is no VAPID key", "push.webpush", "webpush {\nvapid_key_file " + bad + "\ncontact mailto:a@example.com\n}", "VAPID key refused"},
		{"no contact", "push.webpush", "webpush {\nvapid_key_file " + vapid(t) + "\n}", "contact mailto:<address>"},
		{"a network that is none", "push.webpush", "webpush {\nvapid_key_file " + vapid(t) + "\ncontact mailto:a@example.com\nallow home\n}", `allow "home" is neither an address nor a network`},
		{"a proxy for any host", "push.webpush", "webpush {\nvapid_key_file " + vapid(t) + "\ncontact mailto:a@example.com\nproxy http://p.example\n}", "needs a list of hosts"},
		{"half a notification", "push.webpush", "webpush {\nvapid_key_file " + vapid(t) + "\ncontact mailto:a@example.com\ndeclarative {\nbody x\n}\n}", "needs a title and an https address"},
		{"an endpoint of web push", "push.webpush", "webpush {\nendpoint https://e.example\n}", `unknown option "endpoint"`},
		{"no service", "push.webhook", "webhook {\n}", "url <address>"},
		{"a service without TLS", "push.webhook", "webhook {\nurl http://own.example/s3cret\n}", "is not https"},
		{"two ways to say who calls", "push.webhook", "webhook {\nurl https://own.example\nbasic_auth a b\nbearer c\n}", "it has basic_auth and bearer"},
		{"a password without a name", "push.webhook", "webhook {\nurl https://own.example\nbasic_auth \"\" s3cret\n}", "a name or password is empty"},
		{"half of basic_auth", "push.webhook", "webhook {\nbasic_auth me\n}", `option "basic_auth" needs two values`},
		{"a webhook's network that is none", "push.webhook", "webhook {\nurl https://own.example\nallow 10.0.0.0/99\n}", "neither an address nor a network"},
		{"no account of Twilio's", "sms.twilio", "twilio {\nfrom Example\n}", "twilio: "},
		{"an unknown secret", "sms.twilio", "twilio {\nauth_token {env.GATEHOUSE_TEST_NOWHERE}\n}", "auth_token: "},
		{"options of the log", "sms.log", "log {\nlevel debug\n}", "there are none here"},
		{"no provider", "sms.http", "http {\n" + body + "}", "url <address>"},
		{"no number in it", "sms.http", "http {\nurl https://s.example\nbody `{\"text\":\"{text}\"}`\n}", "the placeholder {to} stands nowhere"},
		{"a status that is none", "sms.http", "http {\nanswers {\nsuccess ok\n}\n}", `option "success" needs statuses such as 429, not "ok"`},
		{"no statuses", "sms.http", "http {\nanswers {\nretryable\n}\n}", `option "retryable" needs one or more statuses`},
		{"words without meaning", "sms.http", "http {\nanswers {\naccepted /a\n}\n}", "accepted needs the words"},
		{"a class that is none", "sms.http", "http {\nurl https://s.example\n" + body + "answers {\nreason /r\nclass x bad\n}\n}", `the class "bad" of a word is none`},
		{"receipts without an address", "sms.http", "http {\nurl https://s.example\n" + body + "receipts {\nid /i\n}\n}", "receipts need status_callback"},
		{"an address without receipts", "sms.http", "http {\nurl https://s.example\n" + body + "status_callback https://a.example/sms/reports/http/x\n}", "status_callback needs receipts"},
		{"a signature without a secret", "sms.http", "http {\nurl https://s.example\n" + body + "hmac {\nfield X-S\n}\n}", "an HMAC needs a secret"},
		{"an unknown secret in a body", "sms.http", "http {\nurl https://s.example\nbody `{\"k\":\"{env.GATEHOUSE_TEST_NOWHERE}\",\"to\":\"{to}\",\"text\":\"{text}\"}`\n}", "body: "},
		{"an unknown secret in the address", "sms.http", "http {\nurl https://s.example/{env.GATEHOUSE_TEST_NOWHERE}\n" + body + "}", "url: "},
		{"no file of places", "geolocation.maxmind", "maxmind", `option "maxmind" needs a value`},
		{"no such file of places", "geolocation.maxmind", "maxmind /nowhere.mmdb", "/nowhere.mmdb"},
		{"a file that has no places", "geolocation.maxmind", "maxmind " + bad, "maxmind"},
		{"no location service", "geolocation.http", "http", `option "http" needs a value`},
		{"a location service without TLS", "geolocation.http", "http http://geo.example", "https"},
		{"an unknown secret of the location service", "geolocation.http", "http https://geo.example {\nheader X-Key {env.GATEHOUSE_TEST_NOWHERE}\n}", "header X-Key: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := provision(t, "gatehouse."+c.id, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
		})
	}
}
