// keylime-attestor stands in for SPIRE's Keylime plugin, which no module proxy has: both halves, told by their first argument. Like the plugin, the
// server's half opens roots, certificate and key at each attestation, asks the verifier with them, and ends where it cannot read them; SPIRE never
// starts it again. What it leaves out is the quote that the agent gives it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/hcl"
	"github.com/spiffe/spire-plugin-sdk/pluginmain"
	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	agentv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/agent/nodeattestor/v1"
	serverv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/server/nodeattestor/v1"
	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type options struct {
	Host string `hcl:"keylime_verifier_host"`
	Port string `hcl:"keylime_verifier_port"`
	CA   string `hcl:"keylime_tls_ca_cert_file"`
	Cert string `hcl:"keylime_tls_cert_file"`
	Key  string `hcl:"keylime_tls_key_file"`
	// Of the agent's half, which asks the Keylime agent for it.
	UUID string `hcl:"agent_uuid"`
}

type settings struct {
	configv1.UnimplementedConfigServer
	lock        sync.RWMutex
	options     options
	trustDomain string
}

func (s *settings) Configure(_ context.Context, request *configv1.ConfigureRequest) (*configv1.ConfigureResponse, error) {
	var read options
	if err := hcl.Decode(&read, request.HclConfiguration); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "options: %v", err)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.options, s.trustDomain = read, request.CoreConfiguration.TrustDomain
	return &configv1.ConfigureResponse{}, nil
}

func (s *settings) get() (options, string) {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.options, s.trustDomain
}

type payload struct{ AgentID string }

type server struct {
	serverv1.UnimplementedNodeAttestorServer
	*settings
}

func (s *server) Attest(stream serverv1.NodeAttestor_AttestServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	var agent payload
	if err := json.Unmarshal(first.GetPayload(), &agent); err != nil {
		return status.Errorf(codes.InvalidArgument, "payload: %v", err)
	}
	told, domain := s.get()
	state, err := ask(told, agent.AgentID)
	if err != nil {
		return status.Errorf(codes.Internal, "verifier: %v", err)
	}
	if state != 3 && state != 4 {
		return status.Errorf(codes.PermissionDenied, "the agent is in state %d", state)
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return err
	}
	if err := stream.Send(&serverv1.AttestResponse{Response: &serverv1.AttestResponse_Challenge{Challenge: []byte(hex.EncodeToString(nonce))}}); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return stream.Send(&serverv1.AttestResponse{Response: &serverv1.AttestResponse_AgentAttributes{AgentAttributes: &serverv1.AgentAttributes{
		SpiffeId:    fmt.Sprintf("spiffe://%s/spire/agent/keylime/%s", domain, agent.AgentID),
		CanReattest: true,
	}}})
}

// ask gives the state of an agent at the verifier.
func ask(told options, uuid string) (int, error) {
	roots, err := os.ReadFile(told.CA)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(told.Cert, told.Key)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		log.Fatalf("%s holds no certificate", told.CA)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	answer, err := client.Get(fmt.Sprintf("https://%s:%s/v2.2/agents/%s", told.Host, told.Port, uuid))
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return 0, err
	}
	var said struct {
		Results struct {
			State int `json:"operational_state"`
		} `json:"results"`
	}
	if err := json.Unmarshal(body, &said); err != nil || answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return said.Results.State, nil
}

type agent struct {
	agentv1.UnimplementedNodeAttestorServer
	*settings
}

func (a *agent) AidAttestation(stream agentv1.NodeAttestor_AidAttestationServer) error {
	told, _ := a.get()
	first, err := json.Marshal(payload{AgentID: told.UUID})
	if err != nil {
		return err
	}
	if err := stream.Send(&agentv1.PayloadOrChallengeResponse{Data: &agentv1.PayloadOrChallengeResponse_Payload{Payload: first}}); err != nil {
		return err
	}
	challenge, err := stream.Recv()
	if err != nil {
		return err
	}
	return stream.Send(&agentv1.PayloadOrChallengeResponse{Data: &agentv1.PayloadOrChallengeResponse_ChallengeResponse{ChallengeResponse: challenge.Challenge}})
}

func main() {
	told := &settings{}
	services := []pluginsdk.ServiceServer{configv1.ConfigServiceServer(told)}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		pluginmain.Serve(agentv1.NodeAttestorPluginServer(&agent{settings: told}), services...)
	} else {
		pluginmain.Serve(serverv1.NodeAttestorPluginServer(&server{settings: told}), services...)
	}
}
