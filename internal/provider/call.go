// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// RoundTrip makes one call. The answer's body was read already, up to the size agreed. Errors are those of [Plain].
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), c.config.Timeout)
	defer cancel()
	response, err := c.call(r.WithContext(ctx))
	if err != nil {
		return nil, Plain(err)
	}
	return response, nil
}

func (c *Client) call(r *http.Request) (*http.Response, error) {
	defer closeBody(r)
	if err := c.enter(r.Context()); err != nil {
		return nil, err
	}
	defer func() { <-c.places }()
	return c.exchange(r)
}

// enter waits for a place.
func (c *Client) enter(ctx context.Context) error {
	select {
	case c.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) exchange(r *http.Request) (*http.Response, error) {
	response, leave, err := c.roundTrip(r)
	if err != nil {
		return nil, err
	}
	defer leave()
	defer func() { _ = response.Body.Close() }() // what matters of it was read
	body, err := io.ReadAll(io.LimitReader(response.Body, c.config.MaxAnswer))
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// roundTrip makes a call by one of the two ways. Who has an answer calls leave when it was read.
func (c *Client) roundTrip(r *http.Request) (response *http.Response, leave func(), err error) {
	if c.single != nil {
		return c.single.roundTrip(r)
	}
	response, err = c.transport.Load().RoundTrip(r)
	return response, func() {}, err
}

// closeBody does what a RoundTripper owes to whoever made the request, also where the request was never sent.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // it was sent, or is not going to be
	}
}
