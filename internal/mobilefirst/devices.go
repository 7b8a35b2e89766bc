// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"cmp"
	"regexp"
	"strings"
)

// Devices says that the certificates which devices have go on to count.
type Devices struct {
	// CAFile is where the certificate of the authority that has issued them is, in PEM, as the Caddyfile is to say it. Required.
	CAFile string
	// Properties is the file worklight.properties; nil for none.
	Properties []byte
}

// plannedDevices is how devices come to certificates.
type plannedDevices struct {
	place, caFile string
	custom        bool
	hooks         []string // of mode custom
	entity, group string
	named         string // what the application was called
}

// entities are what keys stood for.
var (
	groupEntity = regexp.MustCompile(`^group:(.{1,64})$`)
	notGroup    = regexp.MustCompile(`[^a-z0-9._-]`)
)

// deviceProvisioning plans them, and reads what worklight.properties says of the authority.
func (p *plan) deviceProvisioning() error {
	if p.options.Devices == nil {
		return nil
	}
	d := &plannedDevices{place: "provisioning", caFile: p.options.Devices.CAFile, entity: "application"}
	p.devices = d
	if p.descriptor != nil {
		d.named = p.descriptor.id
	}
	d.named = printableName(cmp.Or(d.named, "com.example.app"))
	p.findings.add(FillIn, 0, d.place, "what names the device in the old certificates, here CN, and what names the application, here OU with the "+
		"value %s: openssl x509 -in device.pem -noout -subject shows it. As long as it is wrong no old certificate counts", d.named)
	p.findings.add(FillIn, 0, d.place, "the devices that were lost, stolen or disabled in the console: list them in a file, with the option blocked")
	if p.options.Devices.Properties == nil {
		return nil
	}
	all, err := readProperties(p.options.Devices.Properties)
	if err != nil {
		return err
	}
	p.authority(all)
	return nil
}

// printableName returns a name that is one word of a Caddyfile.
func printableName(text string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("_.:-", c) || c < 0x80 && isAlphanumeric(byte(c)) {
			return c
		}
		return '_'
	}, text)
}

// authority says what is to be known of the authority's key store. What it is protected with is never repeated.
func (p *plan) authority(all []property) {
	place, path, others := p.devices.place, "", 0
	for _, one := range all {
		switch {
		case one.name == "wl.ca.keystore.path":
			path = one.value
		case strings.HasPrefix(one.name, "wl.ca.") && strings.HasSuffix(one.name, "password"):
			p.findings.add(Warning, 0, place, "%s is in clear in worklight.properties; nothing here needs it", one.name)
		case strings.HasPrefix(one.name, "wl.ca."):
		default:
			others++
		}
	}
	if lower := strings.ToLower(path); path == "" || strings.Contains(lower, "default") || strings.Contains(lower, "worklight") {
		p.findings.add(Warning, 0, place, "wl.ca.keystore.path names no key store of your own: everybody has the keys of the one that was "+
			"shipped, and could make certificates of it. Leave former out then")
	}
	if others > 0 {
		p.findings.add(NoEquivalent, 0, place, "the settings of worklight.properties that are not about devices: %d", others)
	}
}

// device plans a realm that asks for certificates; it reports whether the realm is one.
func (p *plan) deviceRealm(s *realm, m *module, r *plannedRealm) bool {
	if p.devices == nil || !strings.HasPrefix(shipped(s.class), "DeviceAutoProvisioning") {
		return false
	}
	r.authenticator, r.module, r.moduleName = of("device"), guest{}, ""
	p.hook(s.parameters, "validate-csr-function", "validate_csr", s.line)
	p.hook(m.parameters, "validate-certificate-function", "validate_certificate", m.line)
	p.entity(parameter(s.parameters, "entity"), s.line)
	p.unread(s.parameters, []string{"validate-csr-function", "entity"}, s.line, r.place)
	p.unread(m.parameters, []string{"validate-certificate-function"}, m.line, r.place)
	return true
}

// hook plans a question to a service in the place of an adapter's function.
func (p *plan) hook(parameters []attr, function, option string, line int) {
	name := parameter(parameters, function)
	if name == "" {
		return
	}
	d := p.devices
	d.custom, d.hooks = true, appendOnce(d.hooks, option)
	p.findings.add(FillIn, line, d.place, "the service that decides in the place of the adapter function %s. As long as there is none nobody gets in", name)
}

// entity plans what keys stand for.
func (p *plan) entity(was string, line int) {
	d := p.devices
	group := groupEntity.FindStringSubmatch(was)
	switch {
	case was == "" || was == "application":
	case was == "device":
		d.entity = was
	case group != nil:
		d.group = "g" + notGroup.ReplaceAllString(strings.ToLower(group[1]), "-")
		if plain := strings.TrimPrefix(d.group, "g"); isAlphanumeric(plain[0]) {
			d.group = plain
		}
		d.entity = "group " + d.group
		p.findings.add(FillIn, line, d.place, "the other applications of the group %s", group[1])
	default:
		p.findings.add(NoEquivalent, line, d.place, "the entity %s: a key stands for one application here", was)
	}
}

// asksDevice reports whether a realm asks for a device, which is nobody.
func (r *plannedRealm) asksDevice() bool {
	return len(r.authenticator.words) > 0 && r.authenticator.words[0] == "device"
}

// deviceBlock writes the provisioning block.
func (w *writer) deviceBlock(d *plannedDevices, app string) {
	w.blank()
	w.notes(d.place)
	w.open("provisioning")
	if d.custom {
		w.line("mode", "custom")
		for _, option := range d.hooks {
			w.line(option, "webhook", "https://devices.example.com/"+option)
		}
	} else {
		w.line("mode", "auto")
	}
	stands := []string{"stands_for", "application", app}
	switch {
	case d.group != "":
		w.line("group", d.group, app)
		w.line("entity", "group", d.group)
		stands = []string{"stands_for", "group", d.group}
	case d.entity == "device":
		w.line("entity", "device")
		stands = []string{"stands_for", "device"}
	}
	w.open("former", d.caFile)
	w.line("device", "CN")
	w.line(append(stands, "OU", d.named)...)
	w.close()
	w.close()
}
