package ovf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/ovf"
)

const sample = `<?xml version="1.0"?>
<ovf:Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2" xmlns:r="urn:r" xmlns:v="http://www.vmware.com/schema/ovf">
 <ovf:References><ovf:File ovf:id="f1" ovf:href="root disk.vmdk"/><ovf:File ovf:id="f2" ovf:href="data.vmdk"/></ovf:References>
 <ovf:DiskSection>
  <ovf:Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="20" ovf:capacityAllocationUnits="byte * 2^30"/>
  <ovf:Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="4096"/>
  <ovf:Disk ovf:diskId="empty" ovf:capacity="1"/>
 </ovf:DiskSection>
 <ovf:VirtualSystem ovf:id="fallback">
  <ovf:Name>my (old) web_server.1</ovf:Name>
  <ovf:OperatingSystemSection ovf:id="96" v:osType="x"/>
  <ovf:VirtualHardwareSection>
   <ovf:Item><r:InstanceID>1</r:InstanceID><r:ResourceType>3</r:ResourceType><r:VirtualQuantity>2</r:VirtualQuantity></ovf:Item>
   <ovf:Item><r:InstanceID>2</r:InstanceID><r:ResourceType>4</r:ResourceType><r:VirtualQuantity>1024</r:VirtualQuantity></ovf:Item>
   <ovf:Item><r:InstanceID>3</r:InstanceID><r:ResourceType>20</r:ResourceType></ovf:Item>
   <ovf:Item><r:InstanceID>4</r:InstanceID><r:ResourceType>20</r:ResourceType></ovf:Item>
   <ovf:Item><r:InstanceID>5</r:InstanceID><r:ResourceType>17</r:ResourceType><r:Parent>3</r:Parent><r:AddressOnParent>0</r:AddressOnParent><r:HostResource>ovf:/disk/d1</r:HostResource></ovf:Item>
   <ovf:Item><r:InstanceID>6</r:InstanceID><r:ResourceType>17</r:ResourceType><r:Parent>4</r:Parent><r:AddressOnParent>0</r:AddressOnParent><r:HostResource>/disk/d2</r:HostResource></ovf:Item>
   <ovf:Item><r:InstanceID>7</r:InstanceID><r:ResourceType>17</r:ResourceType><r:Parent>4</r:Parent><r:AddressOnParent>2</r:AddressOnParent><r:HostResource>/disk/empty</r:HostResource></ovf:Item>
   <ovf:Item><r:InstanceID>8</r:InstanceID><r:ResourceType>17</r:ResourceType><r:Parent>99</r:Parent><r:AddressOnParent>2</r:AddressOnParent><r:HostResource>/disk/d1</r:HostResource></ovf:Item>
   <ovf:Item><r:InstanceID>9</r:InstanceID><r:ResourceType>10</r:ResourceType><r:ResourceSubType>VmxNet3</r:ResourceSubType></ovf:Item>
   <ovf:Item><r:InstanceID>10</r:InstanceID><r:ResourceType>10</r:ResourceType><r:ResourceSubType>PCNet32</r:ResourceSubType></ovf:Item>
   <v:Config v:key="firmware" v:value="efi"/>
  </ovf:VirtualHardwareSection>
 </ovf:VirtualSystem>
</ovf:Envelope>`

func Example() {
	d, err := ovf.Parse([]byte(sample))
	if err != nil {
		panic(err)
	}
	fmt.Println(d.Options()["name"], d.Options()["boot"])
	fmt.Println(d.Disks[0].File, d.Disks[0].CapacityBytes)
	// Output:
	// my-old-webserver.1 order=sata0;sata1
	// root disk.vmdk 21474836480
}

func TestParse(t *testing.T) {
	d, err := ovf.Parse([]byte(sample))
	require.NoError(t, err)
	require.Equal(t, []ovf.Disk{{"sata0", "root disk.vmdk", 20 << 30}, {"sata1", "data.vmdk", 4096}}, d.Disks)
	require.Equal(t, map[string]string{"name": "my-old-webserver.1", "ostype": "l26", "cores": "2", "memory": "1024", "bios": "ovmf", "boot": "order=sata0;sata1"}, d.Options())
	require.Equal(t, map[string]string{"net0": "vmxnet3", "net1": "e1000"}, d.NetOptions())
}

func TestParseVariants(t *testing.T) {
	change := func(old, with string) *ovf.Descriptor {
		t.Helper()
		require.Contains(t, sample, old)
		d, err := ovf.Parse([]byte(strings.ReplaceAll(sample, old, with)))
		require.NoError(t, err)
		return d
	}
	require.Equal(t, "fallback", change("<ovf:Name>my (old) web_server.1</ovf:Name>", "").Name)
	require.Equal(t, "fallback", change("my (old) web_server.1", " ").Name)
	require.Equal(t, "evil", change("my (old) web_server.1", "e,v=\u00fci;l").Name)
	require.Equal(t, "win11", change(`ovf:id="96"`, `ovf:id="123"`).OSType)
	require.Equal(t, "other", change(`ovf:id="96"`, `ovf:id="1"`).OSType)
	require.Equal(t, "other", change(`ovf:id="96"`, `ovf:id="x"`).OSType)
	require.Equal(t, "ide0", change("<r:ResourceType>20<", "<r:ResourceType>5<").Disks[0].Address)
	require.Empty(t, change("<r:ResourceType>20<", "<r:ResourceType>21<").Disks)
	require.Empty(t, change("<r:AddressOnParent>0<", "<r:AddressOnParent>-1<").Disks)
	require.Empty(t, change("<r:VirtualQuantity>2<", "<r:VirtualQuantity>2,args=x<").Cores)
	require.NotContains(t, change("firmware", "hardware").Options(), "bios")
	for units, want := range map[string]int64{"byte * 2^20": 20 << 20, "byte*10^3": 20000, "byte": 20, "byte * 512": 10240, "": 20,
		"bit": 0, "byte * 2^99": 0, "byte * x": 0, "byte * 1024^7": 0, "byte * 2^60": 0} {
		require.Equal(t, want, change(`"byte * 2^30"`, `"`+units+`"`).Disks[0].CapacityBytes, units)
	}
	require.Zero(t, change(`capacity="20"`, `capacity="-20"`).Disks[0].CapacityBytes)
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"", "x", "<a/>", "<Envelope/>", "<Envelope><VirtualSystem>", "<Envelope><VirtualSystem/></Envelope><Envelope>",
		"<Envelope><VirtualSystemCollection/></Envelope>", "<Envelope><VirtualSystem><Name>&nbsp;</Name></VirtualSystem></Envelope>",
		strings.Repeat("<a>", 100)} {
		_, err := ovf.Parse([]byte(text))
		require.ErrorIs(t, err, ovf.ErrSyntax, text)
	}
}

func TestThreat11_Entities(t *testing.T) {
	body := "<Envelope><VirtualSystem id='x'><Name>&e;</Name></VirtualSystem></Envelope>"
	laughs := "<!DOCTYPE x [<!ENTITY a 'ha'>"
	for c := 'b'; c < 'k'; c++ {
		laughs += fmt.Sprintf("<!ENTITY %c '%s'>", c, strings.Repeat("&"+string(c-1)+";", 10))
	}
	for _, doctype := range []string{
		"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>", "<!DOCTYPE x SYSTEM 'http://192.0.2.1/x.dtd'>", laughs + "]>",
		"<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///x'> %p;]>", "<!DOCTYPE x [", "<?xml version='1.0'?>\n<!DOCTYPE Envelope>",
	} {
		_, err := ovf.Parse([]byte(doctype + body))
		require.ErrorIs(t, err, ovf.ErrDocumentType, doctype)
		require.ErrorIs(t, err, storage.ErrUnsafe)
	}
	_, err := ovf.Parse(make([]byte, ovf.MaxDescriptorBytes+1))
	require.ErrorIs(t, err, ovf.ErrTooLarge)
}

func TestThreat11_ReferencedPaths(t *testing.T) {
	for _, href := range []string{"../../etc/shadow", "/etc/shadow", "..", ".", "", "a/b.vmdk", "http://192.0.2.1/x", "a&#10;b", "a\\b", "x:y", "json:{}", "é.vmdk", strings.Repeat("a", 300)} {
		_, err := ovf.Parse([]byte(strings.ReplaceAll(sample, "root disk.vmdk", href)))
		require.ErrorIs(t, err, ovf.ErrPath, href)
		require.False(t, ovf.SafeName(href))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("<Envelope><VirtualSystem/></Envelope>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ovf.Parse(text)
		if err != nil {
			return
		}
		places := map[string]bool{}
		for _, disk := range d.Disks {
			require.True(t, ovf.SafeName(disk.File))
			require.GreaterOrEqual(t, disk.CapacityBytes, int64(0))
			require.False(t, places[disk.Address])
			places[disk.Address] = true
		}
		for key, value := range d.Options() {
			require.NotContains(t, value, "\n", key)
			require.NotContains(t, value, ",", key)
		}
	})
}
