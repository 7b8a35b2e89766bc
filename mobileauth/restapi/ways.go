// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/qrcode"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// Asking chooses how people are asked by mobile types. An asking.Service does.
type Asking interface {
	Start(ctx context.Context, r asking.Request) (operation.Operation, bool, error)
	Methods(ctx context.Context, userID, deviceID, application string) ([]asking.Available, error)
}

// maxUserAgent is how much of a User-Agent is looked at, in bytes.
const maxUserAgent = 512

// byType is what a start by mobile type says beside what every start does.
type byType struct {
	Type         string               `json:"type"`
	Message      string               `json:"message"`
	Secure       string               `json:"secure_message"`
	Data         string               `json:"signing_data"`
	LanguageCode string               `json:"language_code"`
	IPAddress    string               `json:"ip_address"`
	UserAgent    string               `json:"user_agent"`
	PhoneNumber  string               `json:"phone_number"`
	Fallback     mobiletype.Fallbacks `json:"fallback"`
}

// askByType starts an operation by a mobile type.
func (a *API) askByType(c *call, start operation.Start, in *byType) (operation.Operation, bool, error) {
	if a.config.Asking == nil {
		return operation.Operation{}, false, wire.New(wire.InvalidValue, "").With("type", "no types are configured")
	}
	r := asking.Request{
		Type: in.Type, Kind: start.Kind, UserID: start.UserID, DeviceID: start.DeviceID, Application: start.Application,
		ClientID: start.ClientID, ExternalID: start.ExternalID, Message: in.Message, Context: start.Context, Secure: in.Secure,
		Data: in.Data, Language: in.LanguageCode, Number: in.PhoneNumber, MayNumber: c.caller.Scopes.Has(ScopeNumbers),
		Fallback: in.Fallback, TimeToLive: start.TimeToLive, NumberMatch: start.NumberMatch, Callback: start.Callback,
		IdempotencyKey: start.IdempotencyKey, Traceparent: start.Traceparent,
	}
	r.Origin.UserAgent = in.UserAgent[:min(len(in.UserAgent), maxUserAgent)]
	if in.IPAddress != "" {
		address, err := netip.ParseAddr(in.IPAddress)
		if err != nil || address.Zone() != "" {
			return operation.Operation{}, false, wire.New(wire.InvalidValue, "").With("ip_address", "want an IPv4 or IPv6 address")
		}
		r.Origin.Address = address.Unmap()
	}
	return a.config.Asking.Start(c.r.Context(), r)
}

// impossible lists why the types of a chain could not begin.
func impossible(err error) *wire.Problem {
	var none *asking.ImpossibleError
	if !errors.As(err, &none) {
		return nil
	}
	p := wire.New(wire.NotPossible, "the user cannot be asked by this type, nor by what it falls back to")
	for _, s := range none.Skipped {
		p.With(s.Type, s.Reason)
	}
	return p
}

var codeForm = regexp.MustCompile(`^[0-9]{6}$`)

// verifyOperation takes the code that the person typed. Only the client that started the operation may bring it.
func (a *API) verifyOperation(c *call) error {
	var in struct {
		Code string `json:"code"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	code := strings.Join(strings.Fields(in.Code), "")
	if !codeForm.MatchString(code) {
		return wire.New(wire.InvalidValue, "").With("code", "want six digits")
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	out, err := a.config.Operations.Verify(c.r.Context(), o.ID, c.caller.ClientID, code)
	switch {
	case err != nil:
		return err
	case out.Code == operation.Accepted:
		return c.sendOperation(http.StatusOK, out.Operation)
	case out.Code == operation.Refused:
		return &wire.Problem{Code: wire.WrongCode, Detail: "the code is not the one that was sent", Remaining: &out.Remaining}
	case out.Reason == operation.ReasonUserBlocked:
		return operation.ErrBlocked
	}
	return wire.New(wire.InvalidState, "the operation is not one that waits for a code from this client")
}

// resendOperation has the same notification or code sent once more.
func (a *API) resendOperation(c *call) error {
	if err := c.optionalBody(&struct{}{}); err != nil {
		return err
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	o, err = a.config.Operations.Resend(c.r.Context(), o.ID, c.caller.ClientID)
	if errors.Is(err, operation.ErrTooSoon) {
		return &wire.Problem{
			Code: wire.TooManyRequests, Detail: "it was sent a moment ago", RetryAfter: o.ResendAt().Sub(a.config.Now()),
		}
	}
	if err != nil {
		return err
	}
	return c.sendOperation(http.StatusOK, o)
}

// showQR draws what a phone scans.
func (a *API) showQR(media string, draw func(text string) ([]byte, error)) func(c *call) error {
	return func(c *call) error {
		if _, err := c.params(); err != nil {
			return err
		}
		o, err := a.operationOf(c)
		switch {
		case err != nil:
			return err
		case o.ClientID != c.caller.ClientID, o.Channel != operation.ByOTP:
			return wire.New(wire.NotFound, "there is nothing to scan")
		case o.OTP == "":
			return wire.New(wire.InvalidState, "somebody has scanned it, or it has ended")
		}
		picture, err := draw(c.showOperation(&o).Link)
		if err != nil {
			return err
		}
		c.w.Header().Set("Content-Type", media)
		c.w.Header().Set("X-Content-Type-Options", "nosniff")
		c.status = http.StatusOK
		c.w.WriteHeader(c.status)
		_, _ = c.w.Write(picture) // the caller is gone otherwise
		return nil
	}
}

// qrPictures are the resources of pictures.
func (a *API) qrPictures() map[string]resource {
	return map[string]resource{
		"/operations/{operation}/qr.png": {http.MethodGet: write(ScopeOperations, a.showQR("image/png", qrcode.PNG))},
		"/operations/{operation}/qr.svg": {http.MethodGet: write(ScopeOperations, a.showQR("image/svg+xml", qrcode.SVG))},
	}
}

// listMethods tells by which types a user can be asked. Of a user who is not there it tells what it tells of one who has nothing.
func (a *API) listMethods(c *call) error {
	query, err := c.params("device", "application")
	if err != nil {
		return err
	}
	answer := struct {
		Methods []view.Method `json:"methods"`
	}{Methods: []view.Method{}}
	if a.config.Asking == nil {
		return c.send(http.StatusOK, answer)
	}
	all, err := a.config.Asking.Methods(c.r.Context(), c.r.PathValue("user"), query["device"], query["application"])
	if err != nil {
		return err
	}
	for _, m := range all {
		shown := view.Method{Type: m.Type, Method: m.Method, By: m.By, ByMethod: m.ByMethod, Devices: []view.Phone{}, PhoneNumber: m.Number}
		for _, d := range m.Devices {
			shown.Devices = append(shown.Devices, view.PhoneOf(d))
		}
		answer.Methods = append(answer.Methods, shown)
	}
	return c.send(http.StatusOK, answer)
}
