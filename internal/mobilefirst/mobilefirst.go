// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"cmp"
	"errors"
	"fmt"
)

// Options say what the files do not.
type Options struct {
	// Issuer is the URL of the authorization server. Default: https://auth.example.com.
	Issuer string
	// Site is the address of the site whose URLs static resources are. Default: app.example.com.
	Site string
	// Development lets login modules in that accept anybody, as they were. Otherwise such realms are closed.
	Development bool
	// Devices has the certificates that devices have go on to count; nil leaves the realms closed that ask for one.
	Devices *Devices
}

// What stands in the Caddyfile where nothing else is known.
const (
	usualIssuer = "https://auth.example.com"
	usualSite   = "app.example.com"
)

// Result is a Caddyfile and what has to be known about it.
type Result struct {
	Caddyfile []byte
	// Findings are in the order in which they were found; each stands in the Caddyfile, too, as a comment at its place.
	Findings []Finding
}

// Import writes the Caddyfile for an authenticationConfig.xml and, unless it is nil, an application-descriptor.xml. Names are
// kept as far as they can be written; one that is changed is a finding. It refuses files that cannot be read for certain, with
// an error that wraps [ErrFile], and returns a Caddyfile that loads for all others. Nothing in it is open that was closed.
func Import(file, descriptorFile []byte, o Options) (*Result, error) {
	o.Issuer, o.Site = cmp.Or(o.Issuer, usualIssuer), cmp.Or(o.Site, usualSite)
	if !isOrigin(o.Issuer, "https", "http") || !isOrigin(o.Site, "https", "http", "") {
		return nil, errors.New("the issuer is a URL such as https://auth.example.com, and the site an address such as app.example.com")
	}
	found := new(findings)
	c, err := readConfig(file, found)
	if err != nil {
		return nil, fmt.Errorf("reading authenticationConfig.xml: %w", err)
	}
	var d *descriptor
	if descriptorFile != nil {
		if d, err = readDescriptor(descriptorFile); err != nil {
			return nil, fmt.Errorf("reading application-descriptor.xml: %w", err)
		}
	}
	p := &plan{options: o, findings: found, config: c, descriptor: d, names: map[string]string{}, taken: map[string]bool{}, numbers: map[string]int{}}
	if err := p.deviceProvisioning(); err != nil {
		return nil, fmt.Errorf("reading worklight.properties: %w", err)
	}
	p.make()
	return &Result{Caddyfile: p.write(), Findings: found.all}, nil
}
