"""Small programs in other languages: a server that answers every request, a client that comes back.

A server is told its port, and finds `server.crt`, `server.key` and `server.p12` beside it. A client
is told VERSION, VISITS and one PORT or more: it visits all ports in turn, as often, each time on a
new connection, and prints the answers, a line each. Versions are 1.2 and 1.3.
"""

GO_SERVER = """
package main

import (
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Write([]byte("go"))
	})
	panic(http.ListenAndServeTLS("127.0.0.1:"+os.Args[1], "server.crt", "server.key", nil))
}
"""

GO_CLIENT = """
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[os.Args[1]]
	visits, _ := strconv.Atoi(os.Args[2])
	var clients []*http.Client
	for range os.Args[3:] {
		config := &tls.Config{MinVersion: version, MaxVersion: version}
		if os.Getenv("CACHE") != "" {
			config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		}
		transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
		clients = append(clients, &http.Client{Transport: transport})
	}
	for visit := 0; visit < visits; visit++ {
		for at, port := range os.Args[3:] {
			answer, err := clients[at].Get("https://localhost:" + port + "/")
			if err != nil {
				panic(err)
			}
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			fmt.Println(string(body))
		}
	}
}
"""

NODE_SERVER = """
const fs = require('fs')
const options = { cert: fs.readFileSync('server.crt'), key: fs.readFileSync('server.key') }
require('https').createServer(options, (_, response) => {
  response.setHeader('Connection', 'close')
  response.end('node')
}).listen(Number(process.argv[2]), '127.0.0.1')
"""

NODE_CLIENT = """
const https = require('https')
const [version, visits, ...ports] = process.argv.slice(2)
const versions = version ? { minVersion: 'TLSv' + version, maxVersion: 'TLSv' + version } : {}
// Its default agent, but for connections that end: it keeps sessions by host and port.
const agent = new https.Agent({ keepAlive: false, ...versions })
const ask = port => new Promise((resolve, reject) => {
  https.get({ host: 'localhost', port, agent, family: 4 }, response => {
    let body = ''
    response.on('data', data => { body += data }).on('end', () => resolve(body))
  }).on('error', reject)
})
const main = async () => {
  for (let visit = 0; visit < Number(visits); visit++) {
    for (const port of ports) console.log(await ask(port))
  }
}
main()
"""

JAVA_SERVER = """
import com.sun.net.httpserver.*; import java.io.*; import java.net.*;
import java.security.*; import java.util.concurrent.*; import javax.net.ssl.*;
class Server {
    public static void main(String[] given) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream("server.p12"), "public".toCharArray());
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, "public".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        InetAddress host = InetAddress.getByName("127.0.0.1");
        int port = Integer.parseInt(given[0]);
        HttpsServer server = HttpsServer.create(new InetSocketAddress(host, port), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context));
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.createContext("/", exchange -> {
            exchange.getResponseHeaders().set("Connection", "close");
            exchange.sendResponseHeaders(200, 4);
            exchange.getResponseBody().write("java".getBytes());
            exchange.close();
        });
        server.start();
    }
}
"""

JAVA_CLIENT = """
import java.io.*; import java.net.*; import java.nio.file.*; import java.security.*;
import java.security.cert.CertificateFactory; import javax.net.ssl.*;
class Client {
    public static void main(String[] given) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        InputStream root = Files.newInputStream(Path.of(System.getenv("SSL_CERT_FILE")));
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        store.setCertificateEntry("root", factory.generateCertificate(root));
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLSv" + given[0]);
        context.init(null, trust.getTrustManagers(), null);
        System.setProperty("https.protocols", "TLSv" + given[0]);
        System.setProperty("http.keepAlive", "false");
        for (int visit = 0; visit < Integer.parseInt(given[1]); visit++) {
            for (int at = 2; at < given.length; at++) {
                URL url = new URL("https://localhost:" + given[at] + "/");
                HttpsURLConnection asked = (HttpsURLConnection) url.openConnection();
                asked.setSSLSocketFactory(context.getSocketFactory());
                System.out.println(new String(asked.getInputStream().readAllBytes()).trim());
            }
        }
    }
}
"""

PYTHON_CLIENT = """
import socket, ssl, sys
version, visits, *ports = sys.argv[1:]
context = ssl.create_default_context()
if version:
    number = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
    context.minimum_version = context.maximum_version = number
sessions = {}
for _ in range(int(visits)):
    for port in ports:
        sock = socket.create_connection(("127.0.0.1", int(port)))
        session = sessions.get(port)
        with context.wrap_socket(sock, server_hostname="localhost", session=session) as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            answer = b""
            while part := tls.recv(4096):
                answer += part
            sessions[port] = tls.session
        print(answer.splitlines()[-1].decode())
"""
