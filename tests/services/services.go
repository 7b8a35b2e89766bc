// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	sender "github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
	"github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
	"github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
	"github.com/gatehouse-id/gatehouse/tests/services/twilio"
	"github.com/gatehouse-id/gatehouse/tests/services/webhook"
	"github.com/gatehouse-id/gatehouse/tests/services/webpush"
)

// service is one that this command knows.
type service struct {
	name  string
	start func(*stage) (started, error)
}

// started is a service that runs.
type started struct {
	says      []said // about its addresses
	caddyfile string // what stands in the block "mobile"
	close     func() error
}

// said is one address: what it is in words, and the variable that it stands in for a shell; without one it is no address.
type said struct{ what, variable, address string }

// services are all there are. Another one is added here.
var services = []service{
	{"apns", startAPNs},
	{"fcm", startFCM},
	{"webpush", startWebPush},
	{"webhook", startWebhook},
	{"twilio", startTwilio},
	{"smsgateway", startGateway},
	{"proxy", startProxy},
}

func startAPNs(s *stage) (started, error) {
	const team, keyID = "TEAM000001", "KEY0000001"
	key, err := apns.NewKey(team, keyID)
	if err != nil {
		return started{}, err
	}
	p8, err := key.P8()
	if err != nil {
		return started{}, err
	}
	path, err := s.write("AuthKey_"+keyID+".p8", p8)
	if err != nil {
		return started{}, err
	}
	c := apns.Config{Authority: s.authority, Now: s.now, Keys: []*apns.Key{key}, Open: true}
	production, err := apns.Start(c)
	if err != nil {
		return started{}, err
	}
	c.Sandbox = true
	sandbox, err := apns.Start(c)
	if err != nil {
		return started{}, errors.Join(err, production.Close())
	}
	return started{
		says: []said{
			{"Apple, production", "APPLE_INBOX", production.URL + inbox}, {"Apple, sandbox", "APPLE_SANDBOX_INBOX", sandbox.URL + inbox},
		},
		caddyfile: fmt.Sprintf(`push apple {
	apns {
		team_id %s
		key_id %s
		key_file %q
		endpoint %s
		sandbox_endpoint %s
		ca_file %q
	}
}`, team, keyID, path, production.URL, sandbox.URL, s.ca()),
		close: func() error { return errors.Join(production.Close(), sandbox.Close()) },
	}, nil
}

// inbox is how a phone, or whoever plays one, listens.
const inbox = loopback.InboxPath + "{address}"

func startFCM(s *stage) (started, error) {
	google, err := fcm.Start(fcm.Config{Authority: s.authority, Now: s.now, Project: "gatehouse-tests", Open: true})
	if err != nil {
		return started{}, err
	}
	account, err := google.Account()
	if err != nil {
		return started{}, errors.Join(err, google.Close())
	}
	path, err := s.write("fcm.json", account)
	if err != nil {
		return started{}, errors.Join(err, google.Close())
	}
	return started{
		says: []said{{"Google", "GOOGLE_INBOX", google.URL + inbox}},
		caddyfile: fmt.Sprintf(`push google {
	fcm {
		service_account_file %q
		token_host %s
		endpoint %s
		ca_file %q
	}
}`, path, google.TokenHost(), google.URL, s.ca()),
		close: google.Close,
	}, nil
}

func startWebPush(s *stage) (started, error) {
	service, err := webpush.Start(webpush.Config{Authority: s.authority, Now: s.now})
	if err != nil {
		return started{}, err
	}
	key, file, err := sender.GenerateKey()
	if err != nil {
		return started{}, errors.Join(err, service.Close())
	}
	path, err := s.write("vapid.pem", file)
	if err != nil {
		return started{}, errors.Join(err, service.Close())
	}
	return started{
		says: []said{
			{"Browsers, a POST is answered with a whole subscription", "", service.URL + "/subscribe?key=" + key.Public()},
			{"Browsers, for a phone with keys of its own", "BROWSERS_SUBSCRIBE", service.URL + "/endpoint?key=" + key.Public()},
			{"Browsers", "BROWSERS_INBOX", service.URL + inbox},
		},
		caddyfile: fmt.Sprintf(`push browsers {
	webpush {
		vapid_key_file %q
		contact mailto:ops@example.com
		allow 127.0.0.0/8
		ca_file %q
	}
}`, path, s.ca()),
		close: service.Close,
	}, nil
}

func startWebhook(s *stage) (started, error) {
	token := randid.Secret()
	service, err := webhook.Start(webhook.Config{Authority: s.authority, Now: s.now, Authorization: "Bearer " + token})
	if err != nil {
		return started{}, err
	}
	path, err := s.write("webhook.token", []byte(token))
	if err != nil {
		return started{}, errors.Join(err, service.Close())
	}
	return started{
		says: []said{{"A push service of your own, which does not look at signatures here", "OWN_INBOX", service.URL + inbox}},
		caddyfile: fmt.Sprintf(`push own {
	webhook {
		url %s/push
		bearer {file.%s}
		allow 127.0.0.0/8
		ca_file %q
	}
}`, service.URL, path, s.ca()),
		close: service.Close,
	}, nil
}

func startTwilio(s *stage) (started, error) {
	sid, token, from := "AC"+hex.EncodeToString([]byte("gatehouse tests!")), randid.Secret(), "+15005550006"
	service, err := twilio.Start(twilio.Config{
		Authority: s.authority, Now: s.now, AccountSID: sid, AuthToken: token, Senders: []string{from}, Deliver: true,
	})
	if err != nil {
		return started{}, err
	}
	path, err := s.write("twilio.token", []byte(token))
	if err != nil {
		return started{}, errors.Join(err, service.Close())
	}
	return started{
		says: []said{{"Twilio", "TWILIO_INBOX", service.URL + inbox}},
		caddyfile: fmt.Sprintf(`sms twilio {
	account_sid %s
	auth_token {file.%s}
	from %s
	endpoint %s
	ca_file %q
}`, sid, path, from, service.URL, s.ca()),
		close: service.Close,
	}, nil
}

func startGateway(s *stage) (started, error) {
	token := randid.Secret()
	service, err := smsgateway.Start(smsgateway.Config{Authority: s.authority, Now: s.now, Bearer: token})
	if err != nil {
		return started{}, err
	}
	path, err := s.write("smsgateway.token", []byte(token))
	if err != nil {
		return started{}, errors.Join(err, service.Close())
	}
	return started{
		says: []said{{"Text messages over HTTP; there are /form and /get as well", "SMS_INBOX", service.URL + inbox}},
		caddyfile: fmt.Sprintf(`sms http second {
	url %s/json
	bearer {file.%s}
	body `+"`"+`{"to":"{to}","text":"{text}","reference":"{id}","ttl":"{ttl:number}"}`+"`"+`
	ca_file %q
}`, service.URL, path, s.ca()),
		close: service.Close,
	}, nil
}

func startProxy(*stage) (started, error) {
	p, err := proxy.Start(proxy.Config{})
	if err != nil {
		return started{}, err
	}
	return started{says: []said{{"Proxy", "", p.URL.String()}}, close: p.Close}, nil
}
