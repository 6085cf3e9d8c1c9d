Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
udp   UNCONN 0      0         127.0.0.53:53         0.0.0.0:*           
udp   UNCONN 0      0            0.0.0.0:123        0.0.0.0:*           
udp   UNCONN 0      0            0.0.0.0:5353       0.0.0.0:*           
udp   UNCONN 0      0            0.0.0.0:5353       0.0.0.0:*           
udp   ESTAB  0      0          127.0.0.1:40000   127.0.0.53:53          
udp   ESTAB  0      0          127.0.0.1:40001    127.0.0.1:53          
udp   UNCONN 0      0          127.0.0.1:40003      0.0.0.0:*           
udp   UNCONN 0      0               [::]:123           [::]:*           
udp   UNCONN 0      0                  *:5000             *:*           
tcp   LISTEN 1      128        127.0.0.1:8080       0.0.0.0:*           
tcp   ESTAB  0      0          127.0.0.1:40002    127.0.0.1:8080        
tcp   ESTAB  0      0          127.0.0.1:8080     127.0.0.1:40002       
