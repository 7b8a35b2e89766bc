// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

// Limits and ages that Apple documents.
const (
	maxPayload  = 4096
	maxCollapse = 64
	tokenAge    = time.Hour
	tokenPause  = 20 * time.Minute
	skew        = time.Minute
)

const devicePath = "/3/device/"

var (
	hexToken  = regexp.MustCompile(`^[0-9a-fA-F]{16,200}$`)
	uuid      = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	pushTypes = []string{
		"alert", "background", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity", "pushtotalk",
	}
)

// verdict is what a request comes to. The zero value is accepted.
type verdict struct {
	status int
	reason string
	since  time.Time
}

func (v verdict) accepted() bool { return v.status == 0 }

// answer ends a request.
func (s *Service) answer(c *conn, st *stream) {
	defer c.end(st.id)
	if strings.HasPrefix(st.get(":path"), loopback.InboxPath) {
		c.write(st.id, s.inbox(st))
		return
	}
	r := Request{At: s.config.Now(), Connection: c.id, Fields: map[string]string{}, Payload: slices.Clone(st.body.Bytes())}
	for _, f := range st.fields {
		r.Fields[f.Name] = f.Value
	}
	if step, scripted := s.Script.Next(); scripted {
		r.Status, r.Reason = step.Status, step.Reason
		s.record(r)
		s.play(c, st, step)
		return
	}
	v := s.judge(c, st)
	r.Status, r.Reason = v.status, v.reason
	if v.accepted() {
		r.Status = http.StatusOK
	}
	s.record(r)
	if v.accepted() {
		s.deliver(st, r)
	}
	c.write(st.id, s.reply(st, v))
}

// play answers as the script says.
func (s *Service) play(c *conn, st *stream, step Step) {
	switch {
	case step.Stall:
		<-st.ctx.Done()
		return
	case step.Reset:
		c.reset(st.id)
		return
	case step.GoAway:
		c.leave(st.id, step.Reason)
		return
	}
	r := s.reply(st, verdict{step.Status, step.Reason, step.Timestamp})
	r.cut = step.Cut
	if step.Body != "" {
		r.body = []byte(step.Body)
		r.fields["content-type"] = step.ContentType
	}
	for name, value := range step.Header {
		r.fields[strings.ToLower(name)] = value
	}
	c.write(st.id, r)
}

// reply puts a verdict into words.
func (s *Service) reply(st *stream, v verdict) reply {
	fields := map[string]string{"apns-id": st.get("apns-id")}
	if fields["apns-id"] == "" {
		fields["apns-id"] = strings.ToUpper(randid.New("id"))
	}
	if v.accepted() || v.status == http.StatusOK {
		if s.config.Sandbox {
			fields["apns-unique-id"] = randid.New("unique")
		}
		return reply{status: http.StatusOK, fields: fields}
	}
	body := struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp,omitempty"`
	}{Reason: v.reason}
	if !v.since.IsZero() {
		body.Timestamp = v.since.UnixMilli()
	}
	data, err := json.Marshal(body)
	if err != nil {
		return reply{status: http.StatusInternalServerError, fields: fields}
	}
	return reply{status: v.status, fields: fields, body: data}
}

func (s *Service) inbox(st *stream) reply {
	r := httptest.NewRequestWithContext(st.ctx, st.get(":method"), st.get(":path"), nil)
	w := httptest.NewRecorder()
	s.Inbox.ServeHTTP(w, r)
	return reply{status: w.Code, fields: map[string]string{"content-type": w.Header().Get("Content-Type")}, body: w.Body.Bytes()}
}

func (s *Service) deliver(st *stream, r Request) {
	var payload struct {
		Op string `json:"op"`
	}
	_ = json.Unmarshal(r.Payload, &payload) // judged already; an app of somebody else's has no such member
	s.Inbox.Put(loopback.Notice{
		Service: "apns", Address: strings.TrimPrefix(st.get(":path"), devicePath), Operation: payload.Op, At: r.At,
		Headers: public(r.Fields), Payload: r.Payload,
	})
}

// public leaves out what the phone does not get to see.
func public(fields map[string]string) map[string]string {
	seen := map[string]string{}
	for name, value := range fields {
		if strings.HasPrefix(name, "apns-") {
			seen[name] = value
		}
	}
	return seen
}

// judge looks at a request in the order in which Apple does, as far as that shows: the path, the provider, the notification, the device.
func (s *Service) judge(c *conn, st *stream) verdict {
	token, found := strings.CutPrefix(st.get(":path"), devicePath)
	switch {
	case !found:
		return verdict{status: http.StatusNotFound, reason: "BadPath"}
	case st.get(":method") != http.MethodPost:
		return verdict{status: http.StatusMethodNotAllowed, reason: "MethodNotAllowed"}
	case repeated(st):
		return verdict{status: http.StatusBadRequest, reason: "DuplicateHeaders"}
	case token == "":
		return verdict{status: http.StatusBadRequest, reason: "MissingDeviceToken"}
	}
	topic, v := s.provider(c, st)
	if v.accepted() {
		v = s.notification(st, topic)
	}
	if v.accepted() {
		v = s.device(token, topic)
	}
	return v
}

func repeated(st *stream) bool {
	seen := map[string]bool{}
	for _, f := range st.fields {
		if seen[f.Name] && strings.HasPrefix(f.Name, "apns-") {
			return true
		}
		seen[f.Name] = true
	}
	return false
}

// provider judges who is sending, and to which topic.
func (s *Service) provider(c *conn, st *stream) (string, verdict) {
	topic := st.get("apns-topic")
	if c.cert != nil {
		return s.certificate(c, topic)
	}
	v := s.token(c, st.get("authorization"))
	switch {
	case !v.accepted():
		return "", v
	case topic == "":
		return "", verdict{status: http.StatusBadRequest, reason: "MissingTopic"}
	case len(s.config.Topics) > 0 && !slices.Contains(s.config.Topics, topic):
		return "", verdict{status: http.StatusBadRequest, reason: "TopicDisallowed"}
	}
	return topic, verdict{}
}

func (s *Service) certificate(c *conn, topic string) (string, verdict) {
	own, here := certified(c.cert, s.config.Sandbox)
	switch {
	case !here:
		return "", verdict{status: http.StatusForbidden, reason: "BadCertificateEnvironment"}
	case own == "":
		return "", verdict{status: http.StatusForbidden, reason: "BadCertificate"}
	case topic != "" && topic != own:
		return "", verdict{status: http.StatusBadRequest, reason: "TopicDisallowed"}
	}
	return own, verdict{}
}

// token judges a provider token, and what the connection has seen before.
func (s *Service) token(c *conn, authorization string) verdict {
	raw, found := strings.CutPrefix(authorization, "bearer ")
	if !found || raw == "" {
		return verdict{status: http.StatusForbidden, reason: "MissingProviderToken"}
	}
	s.mu.Lock()
	keys := s.keys
	s.mu.Unlock()
	p, err := parseToken(raw, keys)
	now := s.config.Now()
	switch {
	case err != nil || p.issued.After(now.Add(skew)):
		return verdict{status: http.StatusForbidden, reason: "InvalidProviderToken"}
	case now.Sub(p.issued) > tokenAge:
		return verdict{status: http.StatusForbidden, reason: "ExpiredProviderToken"}
	}
	return c.acquaint(raw, p, now)
}

// acquaint holds a connection to one team and one token in twenty minutes, and lets its provider send side by side.
func (c *conn) acquaint(raw string, p provider, now time.Time) verdict {
	c.mu.Lock()
	known := c.judged
	switch {
	case known.team != "" && known.team != p.team:
		c.mu.Unlock()
		return verdict{status: http.StatusForbidden, reason: "InvalidProviderToken"}
	case known.token != "" && known.token != raw && now.Sub(known.since) < tokenPause:
		c.mu.Unlock()
		return verdict{status: http.StatusTooManyRequests, reason: "TooManyProviderTokenUpdates"}
	case known.token != raw:
		c.judged = acquaintance{token: raw, team: p.team, since: now}
	}
	first := known.token == ""
	if first {
		c.limit = c.service.streams
	}
	c.mu.Unlock()
	if first {
		_ = c.settings() // a connection that broke shows at the answer
	}
	return verdict{}
}

// notification judges the fields and the payload.
func (s *Service) notification(st *stream, topic string) verdict {
	bad := func(reason string) verdict { return verdict{status: http.StatusBadRequest, reason: reason} }
	kind, priority := st.get("apns-push-type"), st.get("apns-priority")
	switch {
	case topic == "":
		return bad("BadTopic")
	case !slices.Contains(pushTypes, kind):
		return bad("InvalidPushType")
	case priority != "" && priority != "10" && priority != "5" && priority != "1":
		return bad("BadPriority")
	case kind == "background" && priority != "5":
		return bad("BadPriority")
	case st.get("apns-id") != "" && !uuid.MatchString(st.get("apns-id")):
		return bad("BadMessageId")
	case len(st.get("apns-collapse-id")) > maxCollapse:
		return bad("BadCollapseId")
	case st.body.Len() == 0:
		return bad("PayloadEmpty")
	case st.body.Len() > maxPayload:
		return verdict{status: http.StatusRequestEntityTooLarge, reason: "PayloadTooLarge"}
	}
	if at := st.get("apns-expiration"); at != "" {
		if _, err := strconv.ParseInt(at, 10, 64); err != nil {
			return bad("BadExpirationDate")
		}
	}
	return s.payload(st, kind)
}

// payload holds what is shown against the kind of push that it is sent as.
func (s *Service) payload(st *stream, kind string) verdict {
	var payload struct {
		APS struct {
			Alert            json.RawMessage `json:"alert"`
			ContentAvailable int             `json:"content-available"`
		} `json:"aps"`
	}
	if err := json.Unmarshal(st.body.Bytes(), &payload); err != nil {
		return verdict{status: http.StatusBadRequest, reason: "PayloadEmpty"}
	}
	if kind == "alert" && payload.APS.Alert == nil || kind == "background" && (payload.APS.Alert != nil || payload.APS.ContentAvailable != 1) {
		return verdict{status: http.StatusBadRequest, reason: "InvalidPushType"}
	}
	return verdict{}
}

// device judges where a device token leads.
func (s *Service) device(token, topic string) verdict {
	s.mu.Lock()
	d, known := s.devices[token]
	s.mu.Unlock()
	switch {
	case !hexToken.MatchString(token) || !known && !s.config.Open:
		return verdict{status: http.StatusBadRequest, reason: "BadDeviceToken"}
	case !d.dead.IsZero():
		return verdict{status: http.StatusGone, reason: "Unregistered", since: d.dead}
	case known && d.topic != topic:
		return verdict{status: http.StatusBadRequest, reason: "DeviceTokenNotForTopic"}
	case d.throttled:
		return verdict{status: http.StatusTooManyRequests, reason: "TooManyRequests"}
	}
	return verdict{}
}
